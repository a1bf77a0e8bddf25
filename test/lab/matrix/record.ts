// What a group's run leaves: JSON between the lab and the host. Pure.
import type { Cell, Group } from './cells.ts';
import type { Evidence } from './evidence.ts';

export interface GroupRecord {
  readonly group: Group;
  /** By name: kernel, client, server. */
  readonly versions: Readonly<Record<string, string>>;
  readonly cells: readonly { readonly cell: Cell; readonly evidence: Evidence }[];
  readonly virtualMs: number;
  /** Why the group ended early: no cell counts then. */
  readonly error?: string;
}
