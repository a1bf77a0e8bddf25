// A process that logs as fast as its event loop turns, for argv[2] milliseconds, then reports over IPC how it fared and ends
// once its log is closed. Used by log.test.ts.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createLog } from '../../src/log/log.ts';

const runMs = Number(process.argv[2]);
const log = createLog({ process: 'pulse', node: 'alpha', rateLimit: { passMax: 1_000_000_000 } });
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
const startedAt = performance.now();
let sent = 0;

const timer = setInterval(() => {
  for (let n = 0; n < 20; n += 1) {
    log.event('STATUS_SERVER_ERROR', { socket: '/run/tandem/status.sock', problem: `number ${sent}` });
    sent += 1;
  }
  if (performance.now() - startedAt < runMs) return;
  clearInterval(timer);
  report();
}, 1);

function report(): void {
  const progress = {
    sent,
    queued: process.stdout.writableLength,
    heapBytes: process.memoryUsage().heapUsed,
    lagMsMax: delay.max / 1e6 - 10,
  };
  process.send?.(progress, () => {
    setTimeout(() => void log.close(5_000).then(() => process.disconnect()), 1_500);
  });
}
