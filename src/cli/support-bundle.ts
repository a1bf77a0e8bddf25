// `tandem support-bundle`: one archive for who helps, without secrets (src/doctor/redaction.ts).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config/io/load.ts';
import {
  type BundlePart,
  hostParts,
  keptParts,
  ownEnvironmentSecrets,
  secretFileTexts,
} from '../doctor/io/bundle-parts.ts';
import { writeBundle } from '../doctor/io/bundle-writer.ts';
import { type RedactedConfig, redactConfig, scrubber, secretsIn } from '../doctor/redaction.ts';
import { defaultSecretFiles } from '../doctor/secret-files.ts';
import { DIRECTOR_CONTROL_SOCKET, STATE_FILE } from '../feed/files.ts';
import { kernelPlanSchema } from '../feed/reload-answer.ts';
import { packageVersion } from '../units/io/version.ts';
import { type DoctorArguments, doctorJson, examine } from './doctor.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { rememberedDecisions } from './io/past-decisions.ts';
import { getJson, snapshot, statusOf } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { renderDoctor } from './render-doctor.ts';

export interface BundleArguments extends DoctorArguments {
  readonly stateDir: string;
}

const CONFIG_BYTES_MAX = 1_048_576;

export async function supportBundle(
  terminal: Terminal,
  target: string | undefined,
  given: BundleArguments,
): Promise<ExitCode> {
  const examination = await examine(given);
  const { node, found } = examination;
  const config = redacted(given.config);
  // By what the file says and by what it leaves out: the key has a default place.
  const files = await secretFileTexts([...config.files, ...defaultSecretFiles()]);
  const clean = scrubber([...config.secrets, ...files.flatMap(secretsIn), ...ownEnvironmentSecrets()]);
  const parts: readonly BundlePart[] = [
    { name: 'tandem.yaml', text: config.text },
    { name: 'doctor.txt', text: renderDoctor(found, node, { colour: false }) },
    { name: 'doctor.json', text: doctorJson(examination) },
    ...(await daemonParts(given)),
    ...(await keptParts(given.stateDir, given.runDir)),
    ...(await hostParts()),
    { name: 'versions/tandem.txt', text: `tandem ${packageVersion()}, node ${process.version}\n` },
  ];
  const time = new Date(terminal.now()).toISOString().replace(/[-:]|\.\d+/g, '');
  const folder = `tandem-support-${node}-${time}`;
  const file = target ?? `${folder}.tar.gz`;
  try {
    await writeBundle(
      file,
      folder,
      parts.map(({ name, text }) => ({ name, text: clean(text) })),
    );
  } catch (error) {
    throw new CliError((error as Error).message, { exitCode: EXIT.no, cause: error });
  }
  terminal.out(`wrote ${file} (mode 0600), ${parts.length} files, without secrets; look into it before you send it\n`);
  return EXIT.ok;
}

function redacted(file: string): RedactedConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').slice(0, CONFIG_BYTES_MAX);
  } catch (error) {
    return { text: `# could not look: ${(error as Error).message}\n`, secrets: [], files: [] };
  }
  const loaded = loadConfig(file);
  return redactConfig(text, loaded.ok ? [] : loaded.mistakes.map(({ path }) => path));
}

/** What both daemons say, or why they do not. */
async function daemonParts({ runDir, stateDir }: BundleArguments): Promise<BundlePart[]> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return await Promise.all([
    part('status.json', async () => json(await statusOf(runDir))),
    part('pulse.json', async () => json(await snapshot(runDir))),
    part('why.json', async () => {
      const decisions = await snapshot(runDir).then(
        ({ decisions: now }) => now,
        () => rememberedDecisions(join(stateDir, STATE_FILE)),
      );
      if (decisions === undefined) throw new Error('neither pulse nor its state file can be read');
      return json(decisions);
    }),
    part('plan.json', async () => json(await getJson(runDir, DIRECTOR_CONTROL_SOCKET, '/plan', kernelPlanSchema))),
  ]);
}

async function part(name: string, read: () => Promise<string>): Promise<BundlePart> {
  try {
    return { name, text: await read() };
  } catch (error) {
    return { name, text: `could not look: ${(error as Error).message}\n` };
  }
}
