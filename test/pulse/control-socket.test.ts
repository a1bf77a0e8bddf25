// pulse's control socket with real connections: who gets a place on it, and who keeps one.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { serveControl } from '../../src/pulse/io/control-socket.ts';

const HOLD = `${JSON.stringify({ command: 'hold' })}\n`;

async function open(path: string): Promise<Socket> {
  const socket = connect(path).on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function answered(socket: Socket): Promise<boolean> {
  socket.write(HOLD);
  const [answer] = await Promise.race([
    once(socket, 'data'),
    once(socket, 'close').then(() => ['']),
    sleep(2_000, ['']),
  ]);
  return String(answer).includes('"ok":true');
}

test('idle connections keep nobody out, and take no place from one that speaks', async t => {
  const path = join(mkdtempSync(join(tmpdir(), 'tandem-control-')), 'control.sock');
  const control = await serveControl(path, () => ({ ok: true, code: 'ok', message: 'done' }));
  const director = await open(path);
  const idle: Socket[] = [];
  t.teardown(() => {
    for (const socket of [director, ...idle]) socket.destroy();
    control.close();
    rmSync(join(path, '..'), { recursive: true });
  });
  for (let n = 0; n < 40; n += 1) {
    idle.push(await open(path));
    if (n % 10 === 0) t.true(await answered(director), `the director, beside ${n + 1}`);
  }
  const late = await open(path);
  t.true(await answered(late));
  late.destroy();
  t.true(await answered(director));
});
