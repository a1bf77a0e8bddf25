// Runs one program, bounded in time and output, never through a shell. Not pure. A program that
// ends with a status other than 0 is an answer, not an error; only a program that could not be run
// to its end is one.
import { execFile } from 'node:child_process';

export interface CommandResult {
  /** Exit status. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
  /** Longest time in ms; then it is killed. Default 10 s, and 1 s for 10 kB of input. */
  readonly timeoutMs?: number;
  /** Most bytes of output on each stream. Default 16 MiB. */
  readonly outputBytesMax?: number;
  /** Kills it; then it was not run to its end. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `program` with `args`; what the ipvsadm, nft, conntrack and systemd-notify shells are given,
 * so that tests can stand in.
 */
export type Run = (program: string, args: readonly string[], options?: RunOptions) => Promise<CommandResult>;

type CommandFailure = 'missing' | 'not-permitted' | 'timeout' | 'too-much-output' | 'killed' | 'not-started';

/** A program that could not be run to its end. `cause` is what node said. */
export class CommandError extends Error {
  readonly program: string;
  readonly failure: CommandFailure;

  constructor(program: string, failure: CommandFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
    this.program = program;
    this.failure = failure;
  }
}

const TIMEOUT_MS = 10_000;
/** The rules of hundreds of services are a megabyte: half a minute on a busy machine. */
const INPUT_MS_PER_BYTE = 0.1;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** Where Debian keeps administrators' programs; a PATH of a plain user lacks it. */
const SBIN = '/usr/local/sbin:/usr/sbin:/sbin';

export const run: Run = (program, args, options = {}) =>
  new Promise((resolve, reject) => {
    const { input = '' } = options;
    const timeout = options.timeoutMs ?? Math.ceil(TIMEOUT_MS + INPUT_MS_PER_BYTE * input.length);
    const child = execFile(
      program,
      [...args],
      {
        timeout,
        killSignal: 'SIGKILL',
        ...(options.signal && { signal: options.signal }),
        maxBuffer: options.outputBytesMax ?? OUTPUT_BYTES_MAX,
        encoding: 'utf8',
        // The C locale: error texts are compared, and must not be translated.
        env: { ...process.env, PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:${SBIN}`, LC_ALL: 'C' },
      },
      (error, stdout, stderr) => {
        if (!error) resolve({ status: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr });
        else reject(explain(program, timeout, error));
      },
    );
    // A program that ends before it has read its input closes the pipe: its status says why, the
    // EPIPE adds nothing.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });

function explain(
  program: string,
  timeoutMs: number,
  cause: Error & { code?: unknown; killed?: boolean },
): CommandError {
  const fail = (failure: CommandFailure, message: string) => new CommandError(program, failure, message, { cause });
  if (cause.code === 'ENOENT') return fail('missing', `${program} is not installed`);
  if (cause.code === 'EACCES' || cause.code === 'EPERM')
    return fail('not-permitted', `${program} may not be run by this user`);
  if (cause.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
    return fail('too-much-output', `${program} wrote more than expected`);
  if (cause.killed) return fail('timeout', `${program} did not end within ${timeoutMs} ms and was killed`);
  return fail(
    typeof cause.code === 'string' ? 'not-started' : 'killed',
    `${program} did not run to its end: ${cause.message}`,
  );
}
