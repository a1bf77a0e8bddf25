// What a process costs, from outside: resident memory and descriptors from /proc, V8's heap from the process itself (heap.ts). Io.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Look {
  readonly pid: number;
  readonly rssKib: number;
  /** Private memory with content: what this process alone costs. */
  readonly privateKib: number;
  readonly descriptors: number;
  /** After a garbage collection, without compiled code; undefined for what is not Node. */
  readonly heapKib: number | undefined;
  /** Timers, sockets, pipes that Node keeps open. */
  readonly resources: number | undefined;
}

const HEAP_WITHIN_MS = 2_000;

/** Throws when the process has ended meanwhile. */
export async function lookAt(pid: number, heapDirectory: string | undefined): Promise<Look> {
  const heap = heapDirectory === undefined ? undefined : await heapOf(pid, heapDirectory);
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? Number.NaN);
  const descriptors = (await readdir(`/proc/${pid}/fd`)).length;
  return {
    pid,
    rssKib: kib('Rss'),
    privateKib: kib('Private_Clean') + kib('Private_Dirty'),
    descriptors,
    heapKib: heap && Math.round((heap.heapUsed + heap.external - heap.code) / 1024),
    resources: heap?.resources,
  };
}

interface Heap {
  readonly heapUsed: number;
  readonly external: number;
  readonly code: number;
  readonly resources: number;
}

async function heapOf(pid: number, directory: string): Promise<Heap> {
  const path = join(directory, `heap-${pid}.json`);
  await rm(path, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (let waited = 0; waited < HEAP_WITHIN_MS; waited += 10) {
    await sleep(10);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as Heap;
  }
  throw new Error(`process ${pid} does not tell its heap within ${HEAP_WITHIN_MS} ms`);
}

/** Children of a process; empty when it has ended. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
