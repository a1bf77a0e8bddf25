// The daemons, what they say, and the peer. Pure.
import type { Config } from '../config/schema.ts';
import { ownFault } from '../nanny/own-fault.ts';
import { withCommand } from './file-findings.ts';
import type { DaemonLook, HostFacts, PassiveAnswer } from './host-facts.ts';
import { type HostFinding, unseen, wellFound } from './host-finding.ts';
import { RT_RUNTIME } from './kernel-findings.ts';

export function daemonFindings(facts: HostFacts): HostFinding[] {
  const { pulse, director, version, isRoot } = facts;
  const found = [...silent('pulse', pulse, isRoot), ...silent('director', director, isRoot)];
  if (director.ok && director.value.version !== version) {
    const sentence = `the director runs version ${director.value.version}, and ${version} is installed; restart the standby first`;
    const fix = 'systemctl restart tandem-director tandem-pulse';
    found.push({ id: 'version', severity: 'notice', sentence, fix });
  }
  return found.length > 0 ? found : [wellFound('daemons', 'both daemons answer')];
}

function silent(name: 'pulse' | 'director', look: DaemonLook<unknown>, isRoot: boolean): HostFinding[] {
  if (look.ok) return [];
  if (look.denied) return [unseen(name, name, look.problem, isRoot)];
  const { sentence, fix } = withCommand(look.problem);
  return [{ id: name, severity: 'problem', sentence, fix: fix ?? `systemctl restart tandem-${name}` }];
}

/** What the director knows is said once: not what a finding of ours covers. */
export function statusFindings({ director }: HostFacts, others: readonly HostFinding[]): HostFinding[] {
  if (!director.ok) return [];
  const covered = others.flatMap(({ covers = [] }) => covers);
  const { problems, notices, health } = director.value;
  const severity = health === 'failed' ? 'problem' : 'warning';
  const found = problems
    .filter(text => !covered.some(part => text.includes(part)))
    .map((text): HostFinding => ({ id: 'status', severity, ...split(text) }));
  const said = notices.map((text): HostFinding => ({ id: 'status', severity: 'notice', ...split(text) }));
  const all = [...found, ...said];
  return all.length > 0 ? all : [wellFound('status', 'the director knows of nothing more')];
}

function split(text: string): { readonly sentence: string; readonly fix: string | null } {
  return { sentence: text, fix: withCommand(text).fix };
}

/** What the peer's heartbeats say of its config and its version. */
export function peerFindings({ pulse, files, digest }: HostFacts): HostFinding[] {
  if (!pulse.ok) return [];
  const { peer, peerNode, configDigest } = pulse.value;
  const found: HostFinding[] = [];
  if (digest !== '' && digest !== configDigest) {
    const sentence = `${files.file} is not the config that runs here (${digest}, not ${configDigest})`;
    found.push({ id: 'config-read', severity: 'notice', sentence, fix: 'tandem reload' });
  }
  // A peer that is not heard is the status' to tell, or a firewall's.
  if (!peer || peer.silent) return found;
  if (peer.configDigest !== configDigest) {
    const sentence = `${peerNode} runs another config (${peer.configDigest}, here ${configDigest}): see what differs, copy the file that is right to the other router, then: tandem reload --pair`;
    const fix = 'tandem reload --pair --dry-run';
    const covers = [`${peerNode} runs another config`];
    found.push({ id: 'peer-config', severity: 'warning', sentence, fix, covers });
  }
  if (peer.failedChecks === null) {
    const sentence = `${peerNode} speaks as version 0.3 does: upgrade it, too`;
    found.push({ id: 'peer-version', severity: 'notice', sentence, fix: null });
  }
  return found.length > 0 ? found : [wellFound('peer', `${peerNode} runs the same config`)];
}

/** Probes are what keeps two routers from serving at once. */
export function probeFindings({ pulse }: HostFacts): HostFinding[] {
  if (!pulse.ok) return [];
  const { vipCheck, packetLease, peerNode } = pulse.value;
  const found = (vipCheck?.silent ?? []).map((address): HostFinding => {
    const sentence = `${address} has answered this standby and does so no more, though ${peerNode} serves it`;
    return { id: `vip:${address}`, severity: 'warning', sentence, fix: `ping -c 3 ${address}` };
  });
  if (packetLease === false) {
    const sentence =
      'the packet lease is off: a router whose processes all stand still would go on taking packets (PACKET_LEASE_OFF says why)';
    found.push({
      id: 'packet-lease',
      severity: 'warning',
      sentence,
      fix: 'journalctl -u tandem-pulse -g PACKET_LEASE_OFF',
    });
  }
  return found.length > 0 ? found : [wellFound('probes', 'probes and packet lease are in order')];
}

/** Only the standby comes to the VIP as a client does. */
export function passiveFindings({ passive, isRoot }: HostFacts, config: Config): HostFinding[] {
  const ftp = Object.values(config.services).some(({ kind }) => kind === 'ftp');
  if (!ftp) return [];
  if (!passive.ok) {
    if (passive.unseen) return [unseen('passive', 'the passive ranges through the VIP', passive.problem, isRoot)];
    const sentence = `the passive ranges were not tried through the VIP: ${passive.problem}`;
    return [{ id: 'passive', severity: 'notice', sentence, fix: null }];
  }
  const names = [...new Set(passive.value.map(({ service }) => service))];
  const found = names.flatMap(name =>
    passiveFaults(
      name,
      passive.value.filter(({ service }) => service === name),
      isRoot,
    ),
  );
  return found.length > 0 ? found : [wellFound('passive', 'passive ports come through the VIP')];
}

/** Codes of a router that has no way to the VIP, or was told so. */
const NO_WAY: ReadonlySet<string> = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN']);

/** One for each thing that went wrong: silence, the way, this router. */
function passiveFaults(service: string, tried: readonly PassiveAnswer[], isRoot: boolean): HostFinding[] {
  const id = `passive:${service}`;
  const bad = tried.filter(({ answer }) => answer !== 'answered');
  return [...new Set(bad.map(({ code }) => code))].map((code): HostFinding => {
    const lost = bad.filter(one => one.code === code);
    const vip = lost[0]?.vip ?? '';
    const ports = `port${lost.length > 1 ? 's' : ''} ${lost.map(({ port }) => port).join(', ')} of the passive range`;
    if (code === '') {
      const sentence = `service ${service}: ${ports} do not come through ${vip}: another firewall on the router that serves, or on the server, drops them`;
      return { id, severity: 'warning', sentence, fix: 'tandem doctor   # on the other router' };
    }
    if (NO_WAY.has(code)) {
      const sentence = `service ${service}: there is no way from this router to ${vip} (${code} at ${ports}): mend its route, or find the firewall that says so`;
      return { id, severity: 'warning', sentence, fix: `ip route get ${vip}` };
    }
    const why = ownFault(code) ?? `the connection failed (${code})`;
    return unseen(id, `${ports} of service ${service} through ${vip}`, why, isRoot);
  });
}

/** A heartbeat that waits for the processor looks like a dead router. */
export function timeFindings({ clock, scheduled, sysctls, isRoot }: HostFacts): HostFinding[] {
  const found: HostFinding[] = [];
  if (!clock.ok) found.push(unseen('clock', "the clock's synchronisation", clock.problem, isRoot));
  else if (!clock.value) {
    const sentence =
      'the wall clock is not synchronised: logs of the two routers do not fit together, and certificates are judged by it';
    found.push({ id: 'clock', severity: 'warning', sentence, fix: 'timedatectl set-ntp true' });
  }
  if (sysctls.get(RT_RUNTIME) === '0') {
    const sentence = `${RT_RUNTIME} is 0: processes of the real-time class get no processor`;
    found.push({ id: 'real-time', severity: 'problem', sentence, fix: `sysctl -w ${RT_RUNTIME}=950000` });
  }
  if (!scheduled.ok) return [...found, unseen('real-time', 'the real-time class', scheduled.problem, isRoot)];
  for (const { name, pid, realTime } of scheduled.value) {
    if (realTime) continue;
    const sentence = `${name} (${pid}) is not in the real-time class: on a busy router its heartbeats are late`;
    const priority = name === 'pulse' ? 50 : 51;
    const fix = `chrt --all-tasks --rr --pid ${priority} ${pid}`;
    found.push({ id: `real-time:${name}`, severity: 'warning', sentence, fix });
  }
  return found.length > 0 ? found : [wellFound('time', 'clock and real-time class are in order')];
}
