// What `ip -json addr` says: of this machine, or of another one in a file that was saved there.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseCidr } from '../../units/address.ts';
import { type HostInterface, readHostInterfaces } from '../networks.ts';
import { OldFileError, readOldFile } from './old-files.ts';

const TIMEOUT_MS = 5_000;
const BYTES_MAX = 4_194_304;

/** Undefined: there is no `ip` here, or it says nothing that can be read. */
export async function ownInterfaces(): Promise<readonly HostInterface[] | undefined> {
  try {
    const limits = { timeout: TIMEOUT_MS, maxBuffer: BYTES_MAX };
    const { stdout } = await promisify(execFile)('ip', ['-json', 'addr'], limits);
    return readHostInterfaces(stdout, parseCidr);
  } catch {
    return undefined;
  }
}

/** From a file. Throws OldFileError. */
export function savedInterfaces(file: string): readonly HostInterface[] {
  const read = readHostInterfaces(readOldFile(file).text, parseCidr);
  if (read === undefined) throw new OldFileError(`${file} is not what \`ip -json addr\` prints`);
  return read;
}
