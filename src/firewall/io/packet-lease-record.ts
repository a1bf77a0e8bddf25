// What pulse put in for the packet lease, in the run directory: the rules, and how nft lists them.
// The director, which audits the kernel now and then, goes by this and not by its own config, which
// may be newer than pulse's. Not pure.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const GATE_FILE = 'gate.json';

interface PacketLeaseRecord {
  /** The text that nft was given. It keeps a lease that runs. */
  readonly rules: string;
  /** How nft listed the table afterwards, without elements. */
  readonly listing: string;
}

/** Undefined when pulse has put nothing in, or the file is not whole. */
export async function readPacketLeaseRecord(runDir: string): Promise<PacketLeaseRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(runDir, GATE_FILE), 'utf8')) as Partial<PacketLeaseRecord> | null;
    if (typeof record?.rules !== 'string' || typeof record.listing !== 'string') return undefined;
    return { rules: record.rules, listing: record.listing };
  } catch {
    return undefined;
  }
}

/** Written beside and renamed, root-only. Rejects when it cannot be. */
export async function writePacketLeaseRecord(runDir: string, record: PacketLeaseRecord): Promise<void> {
  const path = join(runDir, GATE_FILE);
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removePacketLeaseRecord(runDir: string): Promise<void> {
  await rm(join(runDir, GATE_FILE), { force: true });
}
