// The runner's own view of the config, read from disk when a request means something that it does
// not have. Not pure: the file, the log, the clock.

import { scriptDigest, scriptOf } from '../../config/check-script.ts';
import { hookDigest, hookTask } from '../../config/hook-task.ts';
import { loadConfig, mistakesOn } from '../../config/io/load.ts';
import type { Config } from '../../config/schema.ts';
import type { Log } from '../../log/log.ts';
import { type At, between } from '../../units/duration.ts';
import type { RunRequest } from '../runner-message.ts';
import { hookWork, type Work, workLabel } from '../work.ts';

/** A config that does not fit is read again no sooner. */
const READ_AGAIN_MS = 1_000;

interface RunnerConfigOptions {
  readonly configFile: string;
  /** This router's name, of those in the config; undefined: it is none of them. */
  readonly nodeOf: (routers: readonly string[]) => string | undefined;
  readonly log: Log;
  readonly now: () => At;
}

export class RunnerConfig {
  readonly #options: RunnerConfigOptions;
  #config: Config | undefined;
  #problem = 'it has not been read yet';
  #readAt: At | undefined;

  constructor(options: RunnerConfigOptions) {
    this.#options = options;
  }

  /** What is asked for, or why there is no such thing. */
  find(request: RunRequest): Work | string {
    const { digest } = request;
    const known = this.#meant(request);
    if (known !== undefined && known.digest === digest) return known.work;
    this.#read();
    const found = this.#meant(request);
    const { configFile } = this.#options;
    if (this.#config === undefined) return `tandem-runner cannot use ${configFile}: ${this.#problem}`;
    if (found === undefined) return `${configFile}, as tandem-runner reads it, has no such script`;
    if (found.digest === digest) return found.work;
    return `${configFile} says something else by now than the director uses: systemctl reload tandem-director`;
  }

  /** By the config that is known now. */
  #meant(request: RunRequest): { readonly digest: string; readonly work: Work | string } | undefined {
    const { run } = request;
    const config = this.#config;
    const node = config && this.#options.nodeOf(Object.keys(config.routers));
    if (config === undefined || node === undefined) return undefined;
    if (run.type === 'hook') {
      const task = hookTask(config, node, run.hook);
      return task && { digest: hookDigest(task), work: hookWork(run.hook, task, request) };
    }
    const script = scriptOf(config, node, run);
    const name = workLabel(run);
    return script && { digest: scriptDigest(script), work: { type: 'program', kind: 'check', name, script } };
  }

  /** On any mistake the config before stays. */
  #read(): void {
    const { configFile, nodeOf, log, now } = this.#options;
    if (this.#readAt !== undefined && between(this.#readAt, now()) < READ_AGAIN_MS) return;
    this.#readAt = now();
    const loaded = loadConfig(configFile);
    const node = loaded.ok ? nodeOf(Object.keys(loaded.config.routers)) : '';
    const mistakes = node === undefined ? ['this host is no router of it'] : mistakesOn(loaded, configFile, node);
    if (loaded.ok && mistakes.length === 0) {
      this.#config = loaded.config;
      this.#tell('');
      return;
    }
    const isForeign = !loaded.ok && (loaded.unreadable === 'EACCES' || loaded.unreadable === 'EPERM');
    const remedy = isForeign ? ` (it holds no secret: chmod 644 ${configFile})` : '';
    this.#tell(`${mistakes[0] ?? 'it cannot be read'}${remedy}`);
    log.event('RUNNER_CONFIG_REFUSED', { file: configFile, problem: this.#problem });
  }

  #tell(problem: string): void {
    if (problem === '' && this.#problem !== '')
      this.#options.log.event('RUNNER_CONFIG', { file: this.#options.configFile });
    this.#problem = problem;
  }
}
