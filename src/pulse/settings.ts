// The config as one router's election sees it. Pure.
import { noticeTimes } from '../config/check-time.ts';
import { lanId } from '../config/lan-id.ts';
import type { NodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import { unitsOf } from '../config/units.ts';
import { ms } from '../units/duration.ts';
import type { FixedSettings, LanSettings, Reloadable, Settings } from './election/machine.ts';

/** What a reload takes of the config. */
export function reloadableOf(config: Config, view: Pick<NodeView, 'priority' | 'addresses'>): Reloadable {
  const { interval, lease, dead, auto_failback, on_isolation, on_conflict } = config.heartbeat;
  return {
    priority: view.priority,
    intervalMs: interval,
    leaseMs: lease,
    deadMs: dead,
    autoFailback: auto_failback,
    keepsSessions: Object.keys(config.services).length > 0,
    onIsolation: on_isolation,
    onConflict: on_conflict,
    noticeMs: ms(Math.max(0, ...noticeTimes(config))),
    units: unitsOf(config, view.addresses),
  };
}

/** What the election needs to know of the config; `bootId` names this life of the process. */
export function settingsOf(config: Config, view: NodeView, configDigest: string, bootId: string): Settings {
  const lans = Object.keys(config.lans).sort();
  return {
    node: view.node,
    nodeId: view.nodeId,
    bootId,
    ...reloadableOf(config, view),
    aloneKeepMs: config.heartbeat.alone_keep,
    configDigest,
    links: view.links.length,
    addressLans: view.addresses.map(address => lans.indexOf(address.lan)),
    lans: lans.map(lan => lanSettings(view, lan)),
    fixed: fixedSettings(view, lans),
    witness: config.witness && { leaseMs: config.witness.lease },
  };
}

function lanSettings(view: NodeView, lan: string): LanSettings {
  const indexes = (items: readonly { readonly lan: string }[]) =>
    items.flatMap((item, index) => (item.lan === lan ? [index] : []));
  const on = [...view.addresses, ...view.targets, ...view.links].find(item => item.lan === lan);
  return {
    name: lan,
    id: lanId(lan),
    interface: on?.interface ?? '',
    vips: view.addresses.some(address => address.lan === lan),
    targets: indexes(view.targets),
    links: indexes(view.links),
  };
}

function fixedSettings(view: NodeView, lans: readonly string[]): FixedSettings[] {
  return view.fixed.map(({ address, family, lan, side }) => {
    const end = side === 'own' ? 'local' : 'remote';
    const link = view.links.findIndex(one => one[end] === address && one.lan === lan);
    return {
      address,
      lan: lans.indexOf(lan),
      side,
      link: link < 0 ? undefined : link,
      family,
      serves: view.addresses.some(virtual => virtual.lan === lan && virtual.family === family),
    };
  });
}
