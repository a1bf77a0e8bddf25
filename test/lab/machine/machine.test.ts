// The lab's own promises: a guest that hangs is ended and named, exit statuses pass through, load cannot make it late, and a seed gives the
// same random numbers and the same clock. Only User Mode Linux has virtual time; elsewhere the first two are what there is.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const LAB = `${ROOT}test/lab/lab`;
const where = spawnSync(LAB, ['where'], { encoding: 'utf8' }).stdout.split('\n')[0];

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

const lab = (...args: readonly string[]): Promise<Ended> => runLab(LAB, args);

function runLab(file: string, args: readonly string[]): Promise<Ended> {
  return new Promise(resolve => {
    const child = execFile(file, ['run', '--quiet', ...args], { cwd: ROOT, encoding: 'utf8' }, (_, out, err) => {
      resolve({ status: child.exitCode ?? -1, out, err });
    });
  });
}

test.serial('a command’s exit status and output pass through', async t => {
  const { status, out } = await lab('--timeout', '60', '--', 'bash', '-c', 'echo from inside; exit 7');
  t.is(status, 7);
  t.regex(out, /^from inside$/m);
});

test.serial('a command that takes too long is ended, and that is said', async t => {
  const { status, err } = await lab('--timeout', '2', '--', 'sleep', '600');
  t.is(status, 124);
  t.regex(err, /took longer than 2 s/);
});

test.serial('a clone that is reached by a symbolic link has a lab, too', async t => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tandem-clone-'));
  try {
    const link = path.join(directory, 'link');
    symlinkSync(ROOT, link);
    const { status, out, err } = await runLab(path.join(link, 'test/lab/lab'), ['--timeout', '60', '--', 'echo', 'up']);
    t.is(status, 0, err);
    t.regex(out, /^up$/m);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

if (where === 'uml') {
  test.serial('a guest that hangs is ended and named, with what it ran', async t => {
    // Nothing else ever runs on an infinitely fast processor while this does.
    const spin = ['bash', '-c', 'echo begins >&2; while :; do :; done'];
    const { status, err } = await lab('--time', 'inf-cpu', '--timeout', '600', '--hang', '8', '--', ...spin);
    t.is(status, 71);
    t.regex(
      err,
      /HUNG: uml in .*running .*while.*neither its clock .* nor its output moved for 8 s; its last words: begins/s,
    );
  });

  test.serial('a minute of the guest takes seconds, and four busy loops on the host make nothing late', async t => {
    const loops = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['-e', 'setTimeout(() => process.exit(), 60_000).unref(); for (;;);'], {
        stdio: 'ignore',
      }),
    );
    try {
      const script = `
        let worst = 0, left = 600, due = performance.now() + 100;
        const tick = () => {
          worst = Math.max(worst, performance.now() - due);
          if ((left -= 1) === 0) return console.log(JSON.stringify({ worst, ranMs: performance.now() }));
          due += 100;
          setTimeout(tick, due - performance.now());
        };
        setTimeout(tick, 100);`;
      const { status, out, err } = await lab('--time', 'inf-cpu', '--timeout', '120', '--', 'node', '-e', script);
      t.is(status, 0, err);
      const { worst, ranMs } = JSON.parse(out) as { worst: number; ranMs: number };
      t.true(ranMs > 59_990, out);
      t.true(worst < 2, `a timer was ${worst} ms late`);
    } finally {
      for (const loop of loops) loop.kill('SIGKILL');
      await sleep(0);
    }
  });

  test.serial('a seed gives the same random numbers and the same clock, another seed others', async t => {
    const draw = async (seed: string): Promise<string> => {
      const script = 'od -An -N16 -tx8 /dev/urandom; date +%s.%N; node -p "crypto.randomUUID() + Math.random()"';
      return (await lab('--time', 'inf-cpu', '--seed', seed, '--timeout', '60', '--', 'bash', '-c', script)).out;
    };
    const [first, again, other] = [await draw('7'), await draw('7'), await draw('8')];
    t.is(first, again);
    t.not(first.split('\n')[0], other.split('\n')[0]);
    t.regex(first, /^18000000\d\d\./m);
  });
}
