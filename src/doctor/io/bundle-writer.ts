// Writes a support bundle with the system's tar. Not pure. The archive is root's alone from its
// first byte, and is there whole or not at all.
import { mkdir, mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { run } from '../../command/io/run-command.ts';
import type { BundlePart } from './bundle-parts.ts';

const TAR_MS = 60_000;

/** Rejects when `target` is there already, or cannot be written. `folder`: the archive's one. */
export async function writeBundle(target: string, folder: string, parts: readonly BundlePart[]): Promise<void> {
  const file = resolve(target);
  if (await isThere(file)) throw new Error(`${file} is there already; name another file`);
  const directory = await mkdtemp(join(tmpdir(), 'tandem-support-'));
  const half = `${file}.${process.pid}.part`;
  let made = false;
  try {
    for (const { name, text } of parts) {
      const path = join(directory, folder, name);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, text, { mode: 0o600 });
    }
    await (await open(half, 'wx', 0o600)).close();
    made = true;
    const args = ['--create', '--gzip', '--owner=0', '--group=0', '--file', half, '--directory', directory, folder];
    const { status, stderr } = await run('tar', args, { timeoutMs: TAR_MS });
    if (status !== 0) throw new Error(`tar ended with ${status}: ${stderr.trim().slice(0, 300)}`);
    await rename(half, file);
    made = false;
  } finally {
    if (made) await rm(half, { force: true });
    await rm(directory, { recursive: true, force: true });
  }
}

async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}
