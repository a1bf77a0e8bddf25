// SIGUSR1 opens Node's debugger on 127.0.0.1:9229, where any local user could run code as ours;
// SIGUSR2 ends a process. Operators know both from other daemons and send them by habit. Every
// program of ours calls this first.

/** Both signals do nothing from now on. */
export function ignoreUserSignals(): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
}
