// `tandem rotate-key`: shows where the change of the pair's key stands on both routers, or goes one
// step on: it changes the key file and has pulse take it; the director's sync follows pulse. Should
// pulse say no, the file is as it was.
import { type KeyFile, loadKeyFile, newKey, replaceKeys } from '../config/io/key.ts';
import { loadConfig } from '../config/io/load.ts';
import { areSameKeys, keyIds } from '../config/key-id.ts';
import type { Snapshot } from '../feed/message.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { command, snapshot } from './io/socket.ts';
import type { Terminal } from './io/terminal.ts';
import { adviceOf, judgeRotation, type KeyStand, type RotationStep } from './key-rotation.ts';

export interface RotateKeyArguments {
  readonly config: string;
  readonly runDir: string;
  readonly json?: boolean;
}

/** pulse reads the file by a process of its own (config-reader.ts). */
const PULSE_MS_MAX = 25_000;

export async function rotateKey(
  terminal: Terminal,
  step: RotationStep | undefined,
  options: RotateKeyArguments,
): Promise<ExitCode> {
  const file = keyFileOf(options.config);
  const before = await standOf(options, file);
  if (step === undefined) {
    show(terminal, before, options, null);
    return EXIT.ok;
  }
  const judged = judgeRotation(before, step);
  if (!judged.ok) throw refusal(judged.why, judged.todo);
  const keys = loadKeyFile(file);
  const next = keysAfter(keys, judged.move);
  if (next !== undefined) replaceKeys(file, next);
  const undo = () => next !== undefined && replaceKeys(file, keys);
  const reply = await takenByPulse(options.runDir, file, undo);
  if (!reply.ok) {
    undo();
    throw refusal(`pulse refuses: ${reply.message}`, `${file} is as it was`);
  }
  show(terminal, await standOf(options, file), options, judged.move);
  return EXIT.ok;
}

function refusal(why: string, todo: string): CliError {
  return new CliError(`nothing was changed: ${why}; next: ${todo}`, { exitCode: EXIT.no });
}

function keyFileOf(config: string): string {
  const loaded = loadConfig(config);
  if (loaded.ok) return loaded.config.heartbeat.key_file;
  const message = `${config} cannot be used; see: tandem check ${config}`;
  throw new CliError(message, { exitCode: loaded.unreadable === 'EACCES' ? EXIT.unreachable : EXIT.no });
}

async function standOf({ runDir }: RotateKeyArguments, file: string): Promise<KeyStand> {
  const read = loadKeyFile(file);
  const inFile = { ...keyIds(read), second: read.second };
  const { node, peerNode, keys }: Snapshot = await snapshot(runDir);
  if (keys === null) {
    const message = 'pulse is of an older version, which does not change keys while it runs';
    throw new CliError(`${message}: systemctl restart tandem-pulse`, { exitCode: EXIT.no });
  }
  const { signs, accepts, peer } = keys;
  return { node, peerNode, file, inFile, inUse: { signs, accepts }, peer: peer ?? undefined };
}

/** The keys of the file after a move; undefined: it is only read. */
function keysAfter({ accept }: KeyFile, move: string): Pick<KeyFile, 'accept' | 'second'> | undefined {
  const [first, second] = accept as [Buffer, Buffer | undefined];
  if (move === 'add') return { accept: [first, newKey()], second: 'next' };
  if (move === 'swap' && second !== undefined) return { accept: [second, first], second: 'old' };
  return move === 'read' ? undefined : { accept: [first], second: undefined };
}

/** Without an answer the file is as it was, unless pulse has taken what is in it now. */
async function takenByPulse(runDir: string, file: string, undo: () => unknown): ReturnType<typeof command> {
  try {
    return await command(runDir, { command: 'keys' }, PULSE_MS_MAX);
  } catch (error) {
    const inUse = await snapshot(runDir).then(
      ({ keys }) => keys,
      () => null,
    );
    if (inUse === null || !areSameKeys(inUse, keyIds(loadKeyFile(file)))) undo();
    throw error;
  }
}

function show(terminal: Terminal, stand: KeyStand, { json }: RotateKeyArguments, done: string | null): void {
  const next = adviceOf(stand);
  const { node, peerNode, file, inFile, inUse, peer } = stand;
  if (json) {
    terminal.out(
      `${JSON.stringify({ node, peerNode, file, inFile, inUse, peer: peer ?? null, done, next }, null, 2)}\n`,
    );
    return;
  }
  const words = ({ signs, accepts }: KeyStand['inUse']) => `signs with ${signs}, accepts ${accepts.join(', ')}`;
  const second = inFile.second === undefined ? '' : ` (the second is the ${inFile.second} one)`;
  terminal.out(
    [
      ...(done === null ? [] : [DONE[done] ?? '']),
      `${node} (here): ${words(inUse)}`,
      `${peerNode}: ${peer === undefined ? 'not heard' : words(peer)}`,
      `${file}: ${inFile.accepts.join(', ')}${second}`,
      `next: ${next}`,
      '',
    ].join('\n'),
  );
}

const DONE: Readonly<Record<string, string>> = {
  add: 'a new key was made; it is accepted here, and signs nothing yet',
  read: 'the keys of the file are in use here',
  swap: 'the new key signs here; the old one is still accepted',
  drop: 'the old key is accepted here no more',
  forget: 'the next key is given up here',
};
