// Loaded into a director before its own code (node --import): its wall clock is set by signals, as
// `date -s` would, and its monotonic clock is left alone. SIGUSR2: STEP_MS on.
const Real = Date;
let offsetMs = 0;

class Stepped extends Real {
  constructor(...args: readonly unknown[]) {
    if (args.length === 0) super(Stepped.now());
    else super(...(args as [number]));
  }

  static override now(): number {
    return Real.now() + offsetMs;
  }
}

globalThis.Date = Stepped as DateConstructor;
process.on('SIGUSR2', () => {
  offsetMs += Number(process.env.STEP_MS);
});
