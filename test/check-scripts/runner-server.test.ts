// The runner's socket and who asks there: it runs what its own config names, and nothing else; the director learns in any case.
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { scriptDigest, scriptOf } from '../../src/config/check-script.ts';
import { loadConfig } from '../../src/config/io/load.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import { EVENTS } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import { askRunner } from '../../src/runner/io/ask-runner.ts';
import { RunnerConfig } from '../../src/runner/io/runner-config.ts';
import { createRunnerServer } from '../../src/runner/io/runner-server.ts';
import { AT_ONCE_MAX, WAITING_MAX } from '../../src/runner/places.ts';
import type { RunAnswer } from '../../src/runner/runner-message.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { until } from '../until.ts';

const NODE = 'r1';
const YAML = `
pair: edge
routers: { r1: {}, r2: {} }
lans:
  client: { interface: eth0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
fitness:
  checks:
`;

interface Rig {
  readonly file: string;
  readonly socketPath: string;
  readonly events: { code: EventCode; fields: Fields }[];
  time: number;
  /** Writes the config with these checks, as lists of the shell's. */
  write(checks: Record<string, string>): void;
  /** The runner stops. */
  end(): void;
  /** As the director would, by the config that is on disk, or by another digest. */
  ask(check: string, digest?: string, signal?: AbortSignal): Promise<RunAnswer>;
}

async function rig(t: ExecutionContext, checks: Record<string, string>): Promise<Rig> {
  const dir = mkdtempSync(path.join(tmpdir(), 'tandem-runner-'));
  const [file, socketPath] = [path.join(dir, 'tandem.yaml'), path.join(dir, 'runner.sock')];
  const events: Rig['events'] = [];
  const log = { event: (code: EventCode, fields: Fields = {}) => void events.push({ code, fields }) };
  const made: Rig = {
    ...{ file, socketPath, events, time: 0, end: () => {} },
    write: about => {
      const lines = Object.entries(about).map(
        ([name, text]) => `    ${name}: { script: [/bin/sh, -c, ${JSON.stringify(text)}] }\n`,
      );
      writeFileSync(file, YAML + lines.join(''));
    },
    ask: (check, digest, signal = new AbortController().signal) => {
      const run = { type: 'fitness', check } as const;
      const loaded = loadConfig(file);
      const script = loaded.ok ? scriptOf(loaded.config, NODE, run) : undefined;
      const known = script === undefined ? '0000000000000000' : scriptDigest(script);
      return askRunner(socketPath, { run, digest: digest ?? known }, { timeoutMs: ms(20_000), signal });
    },
  };
  made.write(checks);
  const nodeOf = (routers: readonly string[]) => routers.find(name => name === NODE);
  const config = new RunnerConfig({ configFile: file, nodeOf, log, now: () => made.time as At });
  const { server, end } = createRunnerServer({ log, find: request => config.find(request) });
  made.end = end;
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => {
    end();
    server.close();
    rmSync(dir, { recursive: true, force: true });
    for (const { code, fields } of events) {
      const [said, known] = [fields, EVENTS[code].fields].map(names => Object.keys(names).sort().join());
      if (said !== known) throw new Error(`${code} has ${said}, and the catalogue ${known}`);
    }
  });
  return made;
}

/** Says `text` and gives what comes until the end. */
async function say(socketPath: string, text: string): Promise<string> {
  const socket: Socket = connect(socketPath);
  let heard = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    heard += chunk;
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

test('a script of the config is run by its name, with what it is told about itself', async t => {
  const { ask, events } = await rig(t, { uplink: 'echo $TANDEM_ROUTER $TANDEM_CHECK; exit 4' });
  t.like(await ask('uplink'), { type: 'ended', how: 'exit', status: 4, reason: 'exit status 4: r1 uplink' });
  t.deepEqual(
    events.map(({ code }) => code),
    ['RUNNER_CONFIG'],
  );
});

test('what the config does not name is not run, whatever is asked for', async t => {
  const made = await rig(t, { uplink: 'exit 0' });
  t.regex((await made.ask('other')).reason, /has no such script/);
  t.regex((await made.ask('__proto__')).reason, /has no such script/);
  t.regex(
    (await made.ask('uplink', 'ffffffffffffffff')).reason,
    /says something else by now .* systemctl reload tandem-director/,
  );
  for (const text of [
    'hello\n',
    '{}\n',
    '{"run":{"type":"fitness","check":"uplink","script":["/bin/id"]},"digest":"0000000000000000"}\n',
  ])
    t.like(JSON.parse(await say(made.socketPath, text)), {
      type: 'refused',
      reason: 'this is no request that the runner knows',
    });
  t.is(await say(made.socketPath, `${'x'.repeat(70_000)}\n`), '', 'a line that is too long ends the connection');
  t.like(await made.ask('uplink'), { how: 'exit', status: 0 });
});

test('the runner reads the config again when the director means another script, and keeps the old one on a mistake', async t => {
  const made = await rig(t, { uplink: 'echo one' });
  t.regex((await made.ask('uplink')).reason, /one/);
  made.write({ uplink: 'echo two', disk: 'echo disk' });
  made.time += 5_000;
  t.regex((await made.ask('uplink')).reason, /two/);
  writeFileSync(made.file, `${readFileSync(made.file, 'utf8')}nonsense: 1\n`);
  made.time += 5_000;
  t.regex((await made.ask('uplink', 'ffffffffffffffff')).reason, /says something else/);
  t.regex((await made.ask('disk', 'ffffffffffffffff')).reason, /says something else/);
  const refused = made.events.find(({ code }) => code === 'RUNNER_CONFIG_REFUSED');
  t.regex(String(refused?.fields.problem), /nonsense/);
});

test('a config that cannot be used from the start is said, with what to do', async t => {
  const made = await rig(t, {});
  writeFileSync(made.file, 'nonsense: 1\n');
  t.regex((await made.ask('uplink')).reason, /tandem-runner cannot use .*tandem.yaml/);
});

test('a script that others may write is not run, and the way to mend it is said', async t => {
  const made = await rig(t, {});
  const script = path.join(path.dirname(made.file), 'check');
  writeFileSync(script, '#!/bin/sh\nexit 0\n', { mode: 0o777 });
  writeFileSync(made.file, `${YAML}    open: { script: [${script}] }\n    gone: { script: [/etc/no/check] }\n`);
  // The directory of temporary files can be written by everybody.
  t.regex((await made.ask('open')).reason, /(can be written by others than root: chmod|belongs to user \d+: chown)/);
  t.is((await made.ask('gone')).reason, 'there is no /etc/no/check');
  t.deepEqual(
    made.events.filter(({ code }) => code === 'RUNNER_REFUSED').map(({ fields }) => fields.check),
    ['open', 'gone'],
  );
});

test('a client that goes away takes its script along', async t => {
  const made = await rig(t, {});
  const pid = path.join(path.dirname(made.file), 'pid');
  made.write({ uplink: `echo $$ > ${pid}; exec sleep 600` });
  const abort = new AbortController();
  const asked = made.ask('uplink', undefined, abort.signal);
  const read = () => {
    try {
      return Number(readFileSync(pid, 'utf8'));
    } catch {
      return 0;
    }
  };
  await until('it runs', () => read() > 0);
  abort.abort();
  t.regex((await asked).reason, /given up/);
  await until('it is gone', () => {
    try {
      return !process.kill(read(), 0);
    } catch {
      return true;
    }
  });
});

test('no more scripts run at once than there are places; those that wait come in turn; too many are refused', async t => {
  const made = await rig(t, {});
  const dir = path.dirname(made.file);
  made.write({ uplink: `echo x >> ${dir}/began; for n in $(seq 600); do [ -e ${dir}/go ] && break; sleep 0.05; done` });
  const asked = Array.from({ length: AT_ONCE_MAX + 3 }, () => made.ask('uplink'));
  const began = () => {
    try {
      return readFileSync(`${dir}/began`, 'utf8').split('\n').length - 1;
    } catch {
      return 0;
    }
  };
  await until('all places are taken', () => began() === AT_ONCE_MAX);
  const more = Array.from({ length: WAITING_MAX }, () => made.ask('uplink'));
  const refused = await Promise.race(more);
  t.regex(refused.reason, /too many scripts run and wait already/);
  t.is(began(), AT_ONCE_MAX);
  writeFileSync(`${dir}/go`, '');
  t.deepEqual(new Set((await Promise.all(asked)).map(({ type }) => type)), new Set(['ended']));
});

test('a runner that stops gives no verdict on what runs, and what waits does not begin', async t => {
  const made = await rig(t, {});
  const dir = path.dirname(made.file);
  made.write({ uplink: `echo x >> ${dir}/began; exec sleep 600`, waits: `touch ${dir}/waited` });
  const began = () => {
    try {
      return readFileSync(`${dir}/began`, 'utf8').split('\n').length - 1;
    } catch {
      return 0;
    }
  };
  const asked = Array.from({ length: AT_ONCE_MAX }, () => made.ask('uplink'));
  await until('all places are taken', () => began() === AT_ONCE_MAX);
  const waiting = connect(made.socketPath);
  const run = { type: 'fitness', check: 'waits' } as const;
  const loaded = loadConfig(made.file);
  const script = loaded.ok ? scriptOf(loaded.config, NODE, run) : undefined;
  waiting.write(`${JSON.stringify({ run, digest: script && scriptDigest(script) })}\n`);
  const [word] = await once(waiting, 'data');
  t.is(String(word), '{"type":"waits"}\n');
  const closed = once(waiting, 'close');
  made.end();
  await closed;
  for (const answer of await Promise.all(asked)) t.regex(answer.reason, /^tandem-runner ended before its answer/);
  t.false(existsSync(`${dir}/waited`));
});

test('to wait for a place is no time-out: the time of a script counts from when it began', async t => {
  const dir = mkdtempSync(path.join(tmpdir(), 'tandem-runner-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const socketPath = path.join(dir, 'runner.sock');
  const ended = { type: 'ended', how: 'exit', status: 0, tookMs: 1, reason: 'exit status 0', output: '' };
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.write('{"type":"waits"}\n');
    // Longer than the script may take, with all that is spared.
    setTimeout(() => socket.end(`{"type":"began"}\n${JSON.stringify(ended)}\n`), 4_000);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const request = { run: { type: 'fitness', check: 'a' }, digest: '0000000000000000' } as const;
  const options = { timeoutMs: ms(100), signal: new AbortController().signal, spareMs: ms(2_000) };
  t.like(await askRunner(socketPath, request, options), { type: 'ended', status: 0 });
});

test('a runner that is missing, hangs, dies or talks nonsense is no verdict, and the way to look is said', async t => {
  const dir = mkdtempSync(path.join(tmpdir(), 'tandem-runner-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const socketPath = path.join(dir, 'runner.sock');
  const request = { run: { type: 'fitness', check: 'a' }, digest: '0000000000000000' } as const;
  const options = { timeoutMs: ms(100), signal: new AbortController().signal };
  // One that only hangs is not waited for; whatever else it does may take its time on a busy machine.
  const ask = (spareMs = 20_000) => askRunner(socketPath, request, { ...options, spareMs: ms(spareMs) });
  t.regex((await ask()).reason, /cannot be reached at .* \(ENOENT\); see: systemctl status tandem-runner/);
  let does: (socket: Socket) => void = () => undefined;
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    does(socket);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.regex((await ask(100)).reason, /does not answer in time/);
  does = socket => socket.write('{"type":"waits"}\n{"type":"began"}\n{"type":"waits"}\n{"type":"began"}\n');
  t.regex((await ask(1_000)).reason, /does not answer in time/, 'who says it twice does not make the wait longer');
  does = socket => socket.destroy();
  t.regex((await ask()).reason, /ended before its answer|cannot be reached/);
  does = socket => socket.write('{"type":"ended"}\n');
  t.regex((await ask()).reason, /does not understand/);
  does = socket => socket.write('x'.repeat(100_000));
  t.regex((await ask()).reason, /too long/);
});
