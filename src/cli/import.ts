// `tandem import`: a Tandem config from one of Piranha, keepalived or ldirectord, on stdout; what
// could not be carried over is in it as comments, and counted on stderr.
import { hostname } from 'node:os';
import { withoutControls } from '../import/controls.ts';
import type { OldText } from '../import/directive.ts';
import { type Imported, type ImportRequest, importConfig, plainName } from '../import/import-config.ts';
import { ownInterfaces, savedInterfaces } from '../import/io/host-interfaces.ts';
import { findIncludedOnDisk, OldFileError, readOldFile } from '../import/io/old-files.ts';
import { isWhole, type Note } from '../import/note.ts';
import type { OldKind } from '../import/old-kind.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import type { Terminal } from './io/terminal.ts';

export interface ImportArguments {
  readonly node?: string;
  readonly peer?: string;
  readonly addresses?: string;
  readonly peerAddresses?: string;
  readonly json?: boolean;
}

/** Prints the new config. Ends with `lossy` when anything was lost or means something else. */
export async function printImport(
  terminal: Terminal,
  kind: OldKind,
  files: { readonly file: string; readonly peerFile?: string | undefined },
  given: ImportArguments,
): Promise<ExitCode> {
  checkNames(given);
  const imported = importConfig(await request(kind, files, given));
  const { notes, placeholders, yaml, config } = imported;
  const counts = Object.fromEntries(
    EFFECTS.map(effect => [effect, notes.filter(note => note.effect === effect).length]),
  );
  if (given.json) {
    const whole = isWhole(notes);
    const answer = { kind, ...files, whole, ...counts, notes: notes.map(noteJson), placeholders, config, yaml };
    terminal.out(`${JSON.stringify(answer, null, 2)}\n`);
  } else {
    terminal.out(yaml);
    terminal.err(summary(imported, counts));
  }
  return isWhole(notes) ? EXIT.ok : EXIT.lossy;
}

const EFFECTS = ['lost', 'changed', 'unneeded'] as const;

/** Throws for a name that no router can have, and for one that both would have. */
function checkNames({ node, peer, addresses }: ImportArguments): void {
  for (const [option, name] of Object.entries({ node, peer }))
    if (name !== undefined && plainName(name) === undefined)
      throw new CliError(
        `--${option}: "${withoutControls(name).slice(0, 60)}" is no name of a router; write letters, digits and dashes, at most 31`,
        { exitCode: EXIT.usage },
      );
  const own = node ?? (addresses === undefined ? hostname() : undefined);
  if (own === undefined || peer === undefined || plainName(own) !== plainName(peer)) return;
  const whose = node === undefined ? "this machine's name, which stands for --node" : 'that of --node';
  throw new CliError(`--peer: "${peer}" is ${whose}; the two routers have different names`, { exitCode: EXIT.usage });
}

async function request(
  kind: OldKind,
  { file, peerFile }: { readonly file: string; readonly peerFile?: string | undefined },
  given: ImportArguments,
): Promise<ImportRequest> {
  const hosts: ImportRequest['hosts'] = [
    given.addresses === undefined ? await ownInterfaces() : orEnd(() => savedInterfaces(given.addresses as string)),
    given.peerAddresses === undefined ? undefined : orEnd(() => savedInterfaces(given.peerAddresses as string)),
  ];
  const read = (path: string): OldText => orEnd(() => readOldFile(path));
  return {
    kind,
    file: read(file),
    peerFile: peerFile === undefined ? undefined : read(peerFile),
    findIncluded: findIncludedOnDisk(),
    hosts,
    // Addresses of another machine: the host name is not its own.
    names: [given.node ?? (given.addresses === undefined ? hostname() : undefined), given.peer],
  };
}

function orEnd<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OldFileError)) throw error;
    throw new CliError(error.message, { exitCode: EXIT.no, cause: error });
  }
}

function noteJson({ effect, place, quote, why, path }: Note) {
  return { effect, file: place?.file ?? null, line: place?.line ?? null, quote, why, path };
}

function summary({ placeholders }: Imported, counts: Readonly<Record<string, number>>): string {
  const fill = placeholders.length === 0 ? '' : `, ${placeholders.length} values to fill in (search for FILL-IN)`;
  return `tandem: ${counts.lost} lost, ${counts.changed} changed, ${counts.unneeded} unneeded${fill}; see the comments\n`;
}
