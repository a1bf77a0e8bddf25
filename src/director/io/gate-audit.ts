// The director's look at the packet lease: are the rules in the kernel still those that pulse put in? Not pure: nft and the run
// directory. A table that is gone altogether is vipd's to notice, within one renewal; here it is about a chain or a rule that
// somebody took out or put in.
import { type Run, run } from '../../command/io/run.ts';
import { GATE_FAMILY, GATE_TABLE, withoutElements } from '../../firewall/gate.ts';
import { readGateRecord } from '../../firewall/io/gate-file.ts';

/** What an audit did: `change` was made, or `problem` kept it from that. */
export interface GateFinding {
  readonly change?: string;
  readonly problem?: string;
}

export function createGateAudit(runDir: string, runCommand: Run = run): () => Promise<GateFinding> {
  const list = async (): Promise<string | undefined> => {
    const { status, stdout } = await runCommand('nft', ['-s', 'list', 'table', GATE_FAMILY, GATE_TABLE]);
    return status === 0 ? withoutElements(stdout) : undefined;
  };
  return async () => {
    const record = await readGateRecord(runDir);
    if (!record) return {};
    try {
      const listing = await list();
      if (listing === undefined || listing === record.listing) return {};
      const { status, stderr } = await runCommand('nft', ['-f', '-'], { input: record.rules });
      const after = await list();
      if (status === 0 && after === record.listing) return { change: 'rules of the packet lease put back' };
      return {
        problem: `the rules of the packet lease were changed, and nft did not put them back: ${stderr.trim().slice(0, 300)}`,
      };
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  };
}
