// The director's look at the packet lease: are the rules in the kernel still those that pulse put
// in? Not pure: nft and the run directory. On the owner a table that is gone altogether is vipd's
// to notice, within one renewal, and pulse's to put back, because it is shut until vipd has renewed
// it. A standby renews nothing and would notice when it claims: there it is put back here.
import { type Run, run } from '../../command/io/run-command.ts';
import { interfaceNames } from '../../firewall/io/interfaces.ts';
import { readPacketLeaseRecord } from '../../firewall/io/packet-lease-record.ts';
import { GATE_FAMILY, GATE_TABLE, packetLeaseRemoval, withoutElements } from '../../firewall/packet-lease-rules.ts';

/** What an audit did: `change` was made, or `problem` kept it from that. */
export interface PacketLeaseFinding {
  readonly change?: string;
  readonly problem?: string;
}

/** The interfaces that rules are hooked to. */
function devicesIn(rules: string): string[] {
  return [...rules.matchAll(/ hook ingress device "([^"]+)"/g)].map(match => match[1] as string);
}

export interface PacketLeaseStanding {
  /** pulse is heard: its record is what it wants now, and it will open the gate when it claims. */
  readonly pulseHeard: boolean;
  readonly owner: boolean;
}

export type PacketLeaseAudit = (standing: PacketLeaseStanding) => Promise<PacketLeaseFinding>;

export function createPacketLeaseAudit(runDir: string, runCommand: Run = run): PacketLeaseAudit {
  const list = async (): Promise<string | undefined> => {
    const { status, stdout } = await runCommand('nft', ['-s', 'list', 'table', GATE_FAMILY, GATE_TABLE]);
    return status === 0 ? withoutElements(stdout) : undefined;
  };
  return async ({ pulseHeard, owner }) => {
    const record = await readPacketLeaseRecord(runDir);
    if (!record) return {};
    try {
      const listing = await list();
      if (listing === record.listing) return {};
      if (listing === undefined && (owner || !pulseHeard)) return {};
      // An interface was renamed or is gone: pulse makes the rules anew for what is there.
      const present = await interfaceNames();
      if (devicesIn(record.rules).some(name => !present.includes(name))) return {};
      const { status, stderr } = await runCommand('nft', ['-f', '-'], { input: record.rules });
      const after = await list();
      // pulse has taken its rules away meanwhile: it ends, and nobody would open this gate.
      if (!(await readPacketLeaseRecord(runDir))) {
        await runCommand('nft', ['-f', '-'], { input: packetLeaseRemoval(GATE_TABLE) });
        return {};
      }
      if (status === 0 && after === record.listing) return { change: 'rules of the packet lease put back' };
      return {
        problem: `the rules of the packet lease were changed, and nft did not put them back: ${stderr.trim().slice(0, 300)}`,
      };
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  };
}
