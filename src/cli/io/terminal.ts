// Where a command's answer goes, and the clocks it reads: the only way commands touch the process.
import { constants } from 'node:os';
import { monotonicNow } from '../../units/io/clocks.ts';
import { ENTER_SCREEN, LEAVE_SCREEN, type ScreenSize } from '../picture.ts';

export interface Terminal {
  /** The answer: stdout. */
  out(text: string): void;
  /** Progress and errors: stderr. */
  err(text: string): void;
  /** Whether stdout is a person's screen. */
  readonly screen: boolean;
  /** Whether stdout may have colours: a screen, and NO_COLOR (no-color.org) is not set. */
  readonly colour: boolean;
  /** What a person's screen has room for, at this moment. */
  size(): ScreenSize;
  /**
   * Takes the whole screen; what was there before is back when the program ends, however that
   * comes.
   */
  takeScreen(): void;
  /** Wall time, ms since 1970: for what people read, never for a wait. */
  now(): number;
  /** The clock of every wait: no step of the wall clock moves it. */
  monotonicNow(): number;
  /**
   * Resolves after `ms`, earlier when the screen has got another size, or at once when the user
   * presses Ctrl-C; false then.
   */
  pause(ms: number): Promise<boolean>;
}

export function processTerminal(): Terminal {
  // A terminal that cannot move its cursor gets one picture after the other.
  const screen = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  // A reader that closes early (`tandem why | head -1`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    screen,
    colour: screen && !process.env.NO_COLOR,
    size: () => ({ columns: process.stdout.columns || SIZE.columns, rows: process.stdout.rows || SIZE.rows }),
    takeScreen,
    now: Date.now,
    monotonicNow,
    pause,
  };
}

/** Of a terminal that does not say. */
const SIZE: ScreenSize = { columns: 80, rows: 24 };
/** By which signal a program was ended, as shells say it. */
const SIGNALLED = 128;

function takeScreen(): void {
  const enter = () => void process.stdout.write(ENTER_SCREEN);
  const leave = () => void process.stdout.write(LEAVE_SCREEN);
  enter();
  process.once('exit', leave);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(SIGNALLED + constants.signals[signal]));
  process.on('SIGTSTP', () => {
    leave();
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => {
    enter();
    interrupt.wake();
  });
  process.stdout.on('resize', () => interrupt.wake());
}

/**
 * Ctrl-C, from the first pause on: also between two pauses, while a daemon is asked, it is for the
 * next pause to say. The second one ends the command at once.
 */
const interrupt = { isHeard: false, isListening: false, wake: () => {} };

function listen(): void {
  if (interrupt.isListening) return;
  interrupt.isListening = true;
  process.on('SIGINT', () => {
    if (interrupt.isHeard) process.exit(130);
    interrupt.isHeard = true;
    interrupt.wake();
  });
}

async function pause(ms: number): Promise<boolean> {
  listen();
  if (interrupt.isHeard) return false;
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, ms);
    interrupt.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return !interrupt.isHeard;
}
