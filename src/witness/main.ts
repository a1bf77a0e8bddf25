// The witness process, a child of pulse: Redis, TLS, name look-ups and reconnecting have no place
// in the heartbeat's event loop, nor in its real-time class. Reads a setup and then asks on stdin,
// one at a time; answers each on stdout in time. Ends when stdin closes.
import { readFileSync } from 'node:fs';
import { lineReader } from '../socket/lines.ts';
import { monotonicNow } from '../units/io/clocks.ts';
import { ignoreUserSignals } from '../units/io/user-signals.ts';
import { openConnection, type WitnessConnection } from './io/connection.ts';
import { failed } from './script.ts';
import type { WitnessAnswer, WitnessAsk } from './witness.ts';
import {
  answerText,
  HELLO_LINE,
  parseAsk,
  parseSetup,
  WITNESS_LINE_BYTES_MAX,
  type WitnessSetup,
} from './witness-line.ts';

/** sysexits.h: wrong input, not allowed here. */
const EXIT = { ok: 0, data: 65, permission: 77 } as const;

function main(): void {
  ignoreUserSignals();
  if (isRealTime()) {
    // Without util-linux's chrt in front: better no witness than one that takes the processor from
    // the heartbeat.
    end(
      EXIT.permission,
      'it runs in the real-time class of pulse; install chrt (util-linux), and let the unit allow sched_setscheduler',
    );
  }
  const lines = lineReader({ bytesMax: WITNESS_LINE_BYTES_MAX, tooLong: 'end' });
  let serving: ((line: string) => void) | undefined;
  process.stdout.on('error', () => process.exit(EXIT.ok));
  process.stdin.on('error', () => process.exit(EXIT.ok));
  process.stdin.on('data', (chunk: Buffer) => {
    const read = lines.push(chunk, line => {
      if (serving) serving(line);
      else serving = start(line);
    });
    if (!read) end(EXIT.data, 'a line on stdin is too long');
  });
  process.stdin.on('end', () => {
    if (!serving) process.exit(EXIT.ok);
  });
}

/** Begins to serve; what is returned takes each further line. */
function start(line: string): (line: string) => void {
  const setup = parseSetup(line);
  if (!setup) return end(EXIT.data, 'the first line on stdin is no setup; pulse starts this program');
  const server = new Server(setup, openConnection(setup));
  process.stdin.on('end', () => server.close());
  process.stdout.write(`${HELLO_LINE}\n`);
  return text => server.take(text);
}

class Server {
  readonly #setup: WitnessSetup;
  readonly #connection: WitnessConnection;
  #busy = false;
  #closing = false;

  constructor(setup: WitnessSetup, connection: WitnessConnection) {
    this.#setup = setup;
    this.#connection = connection;
  }

  take(line: string): void {
    const ask = parseAsk(line);
    if (!ask) return end(EXIT.data, 'a line on stdin is no ask');
    if (this.#busy) return say(failed(ask.seq, 'an earlier ask is not answered yet'));
    // Asked before this process was stopped or starved: pulse has given it up, and it must not act
    // now.
    const ageMs = monotonicNow() - ask.at;
    if (ageMs > this.#setup.timeoutMs) {
      return say(
        failed(ask.seq, `the witness process came to read it ${Math.round(ageMs)} ms late; is the machine overloaded?`),
      );
    }
    this.#busy = true;
    void this.#serve(ask);
  }

  async #serve(ask: WitnessAsk): Promise<void> {
    say(await this.#connection.ask(ask));
    this.#busy = false;
    if (this.#closing) this.#exit();
  }

  /** The ask under way may be a release: it is seen through, which takes `timeoutMs` at most. */
  close(): void {
    this.#closing = true;
    if (!this.#busy) this.#exit();
  }

  #exit(): void {
    this.#connection.close();
    process.exit(EXIT.ok);
  }
}

function say(answer: WitnessAnswer): void {
  process.stdout.write(`${answerText(answer)}\n`);
}

function end(code: number, problem: string): never {
  process.stderr.write(`tandem witness: ${problem}\n`);
  process.exit(code);
}

/**
 * Whether the kernel runs this process under SCHED_FIFO (1) or SCHED_RR (2): field 41 of
 * /proc/self/stat, see proc(5).
 */
function isRealTime(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    return fields[38] === '1' || fields[38] === '2';
  } catch {
    return false;
  }
}

main();
