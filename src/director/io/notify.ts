// Tells systemd how the director is (sd_notify(3)), through systemd-notify; nothing when not under
// systemd. Not pure. The unit needs NotifyAccess=all, because systemd-notify is a child. The
// watchdog is fed from the event loop: a loop that hangs starves it.
import { type Run, run } from '../../command/io/run-command.ts';

export interface Notify {
  /** READY=1, once; STATUS is what `systemctl status` shows. */
  ready(status: string): void;
  reloading(): void;
  status(text: string): void;
  stopping(): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 5_000;

export function createNotify(environment: NodeJS.ProcessEnv = process.env, runCommand: Run = run): Notify {
  if (!environment.NOTIFY_SOCKET) {
    return {
      ready: () => undefined,
      reloading: () => undefined,
      status: () => undefined,
      stopping: async () => undefined,
      close: () => undefined,
    };
  }
  const send = async (...assignments: string[]) => {
    // Missed messages have one consequence, the watchdog's, and that is the right one.
    await runCommand('systemd-notify', assignments, { timeoutMs: TIMEOUT_MS }).catch(() => undefined);
  };
  const watchdogUs = Number(environment.WATCHDOG_USEC);
  let isSending = false;
  const feed = async () => {
    if (isSending) return;
    isSending = true;
    await send('WATCHDOG=1');
    isSending = false;
  };
  const timer = watchdogUs > 0 ? setInterval(() => void feed(), watchdogUs / 3_000) : undefined;
  return {
    ready: status => void send('READY=1', `STATUS=${status}`),
    // Type=notify-reload wants the time too; harmless for Type=notify.
    reloading: () => void send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    status: text => void send(`STATUS=${text}`),
    stopping: () => send('STOPPING=1'),
    close: () => clearInterval(timer),
  };
}
