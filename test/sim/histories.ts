// Histories that once failed, kept as data: a change of how schedules are drawn from seeds must not lose them. Each is one whole
// plan of schedule.ts; histories.test.ts runs them.
import type { Settings } from '../../src/pulse/election/machine.ts';
import { ms } from '../../src/units/duration.ts';
import { settingsFor } from '../settings-for.ts';
import type { Fault } from './fault.ts';
import { fixedOf, lansOf, type Plan } from './schedule.ts';
import type { RouterOptions, WorldOptions } from './world.ts';

interface History {
  readonly seed: number;
  /** What happens in it, in words. */
  readonly name: string;
  /** H, L, D. */
  readonly times: readonly [number, number, number];
  readonly keepMs: number;
  readonly targets: number;
  readonly networks: number;
  readonly linkLans: readonly number[];
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly pipeJitterMs: number;
  readonly witness?: { readonly leaseMs: number; readonly timeoutMs: number };
  readonly settled: boolean;
  readonly secondStartMs: number;
  readonly routers: readonly [HistoryRouter, HistoryRouter];
  readonly faults: readonly Fault[];
}

type HistoryRouter = Omit<RouterOptions, 'settings' | 'gated'> & {
  readonly priority: number;
  readonly autoFailback: boolean;
};

export function planOfHistory(history: History, say?: WorldOptions['say']): Plan {
  const { seed, networks, linkLans, delayMs, jitterMs, pipeJitterMs, witness, settled, secondStartMs, faults } =
    history;
  const routers = history.routers.map((router, index) => ({
    ...router,
    gated: true,
    settings: settingsOf(history, index as 0 | 1),
  })) as unknown as [RouterOptions, RouterOptions];
  const world: WorldOptions = {
    seed,
    routers,
    linkLans,
    networks,
    delayMs,
    jitterMs,
    pipeJitterMs,
    wire: false,
    older: undefined,
    witness,
    reloads: [],
    say,
  };
  return { seed, kind: history.name, world, settled, secondStartMs, faults, expects: undefined };
}

function settingsOf(history: History, index: 0 | 1): Omit<Settings, 'bootId'> {
  const { times, keepMs, linkLans, witness } = history;
  const { priority, autoFailback } = history.routers[index];
  return settingsFor({
    node: `r${index + 1}`,
    nodeId: (index + 1) as 1 | 2,
    priority,
    intervalMs: ms(times[0]),
    leaseMs: ms(times[1]),
    deadMs: ms(times[2]),
    aloneKeepMs: ms(keepMs),
    autoFailback,
    links: linkLans.length,
    lans: lansOf(history),
    witness: witness && { leaseMs: ms(witness.leaseMs) },
    fixed: fixedOf(history),
  });
}

export const HISTORIES: readonly History[] = [
  {
    seed: 30019629,
    name: 'heartbeats of a partition are read by a router that wakes in it',
    times: [100, 200, 250],
    keepMs: 2000,
    targets: 0,
    networks: 4,
    linkLans: [0, 1, 2],
    delayMs: 0.8880367744131945,
    jitterMs: 3.815444204956293,
    pipeJitterMs: 0,
    witness: { leaseMs: 2200, timeoutMs: 928 },
    settled: false,
    secondStartMs: 1.565324596595019,
    routers: [
      {
        priority: 150,
        autoFailback: false,
        clockRate: 0.9998792635444552,
        clockStart: 8643291.948816506,
        lifetimeLateMs: 15.913766110315919,
        timerJitterMs: 1.3,
        removalMs: 14.227310176938772,
        diskMs: 9.252406550454907,
        restartMs: 190.01925631891936,
        ceiling: 3500528,
      },
      {
        priority: 150,
        autoFailback: false,
        clockRate: 1.000285995059181,
        clockStart: 5109888.209745055,
        lifetimeLateMs: 161.7293979972601,
        timerJitterMs: 1.3,
        removalMs: 9.343072343617678,
        diskMs: 12.105486114625819,
        restartMs: 277.70005993079394,
        ceiling: 3500117,
      },
    ],
    faults: [
      { type: 'partition', directions: 'both', atMs: 574.3328032549471, forMs: 3899.123462436162 },
      { type: 'stall', who: 'owner', effects: 2, atMs: 50.19321036525071, forMs: 3539.9174720467067 },
    ],
  },
  {
    seed: 30034403,
    name: 'vipd of the giver is stopped while its lease is not armed yet',
    times: [20, 44, 60],
    keepMs: 2000,
    targets: 0,
    networks: 4,
    linkLans: [0, 2],
    delayMs: 0.12640995751135053,
    jitterMs: 0.4872884100768715,
    pipeJitterMs: 0.10443989234045148,
    witness: { leaseMs: 231, timeoutMs: 51 },
    settled: true,
    secondStartMs: 1.1379863449838012,
    routers: [
      {
        priority: 100,
        autoFailback: true,
        clockRate: 1.0004849725645035,
        clockStart: 2723127.2765451577,
        lifetimeLateMs: 37.626363104209304,
        timerJitterMs: 1.3,
        removalMs: 0,
        diskMs: 10.778758108150214,
        restartMs: 325.31953449361026,
        ceiling: 3500720,
      },
      {
        priority: 100,
        autoFailback: false,
        clockRate: 0.9997116801631637,
        clockStart: 4364151.442564558,
        lifetimeLateMs: 180.7110076304525,
        timerJitterMs: 0.2,
        removalMs: 3.566632823646069,
        diskMs: 5.389475698000751,
        restartMs: 366.86647820752114,
        ceiling: 3500158,
      },
    ],
    faults: [
      { type: 'kernel-refuses', who: 'owner', atMs: 281.49752682074904, forMs: 21.807254245411606 },
      { type: 'carrier', who: 1, lan: 1, atMs: 185.0972886197269, forMs: 256.5227064140141 },
      {
        type: 'kill-pulse',
        who: 'owner',
        effects: 0,
        vipdToo: true,
        cleanup: true,
        atMs: 62.16555884107947,
        forMs: 127.80682114176452,
      },
      { type: 'duplication', lan: 3, share: 0.5754430205211974, atMs: 225.11039670556784, forMs: 71.10769938668236 },
      { type: 'stop-vipd', who: 'owner', atMs: 209.84390328638256, forMs: 127.49895065315067 },
      { type: 'witness-down', empty: false, atMs: 84.5506261009723, forMs: 7.014677172899246 },
    ],
  },
  {
    seed: 30061582,
    name: 'two pauses in a row, the second ends in the calm',
    times: [100, 200, 250],
    keepMs: 5000,
    targets: 0,
    networks: 4,
    linkLans: [0, 2],
    delayMs: 0.06441628815373406,
    jitterMs: 3.3881811622995883,
    pipeJitterMs: 0,
    witness: { leaseMs: 550, timeoutMs: 191 },
    settled: true,
    secondStartMs: 0.723485725466162,
    routers: [
      {
        priority: 150,
        autoFailback: false,
        clockRate: 0.9999645812460222,
        clockStart: 863505.3823252674,
        lifetimeLateMs: 129.18484304100275,
        timerJitterMs: 0,
        removalMs: 0,
        diskMs: 19.21120208618231,
        restartMs: 399.70672028139234,
        ceiling: 3500244,
      },
      {
        priority: 100,
        autoFailback: false,
        clockRate: 0.9997703255238012,
        clockStart: 3498122.579038609,
        lifetimeLateMs: 120.05192590877414,
        timerJitterMs: 0,
        removalMs: 0,
        diskMs: 1.6941382337827235,
        restartMs: 138.03901295177639,
        ceiling: 3500588,
      },
    ],
    faults: [
      { type: 'stranger', atMs: 308.9433058630675, forMs: 239.98714584265835 },
      { type: 'handover', who: 'owner', atMs: 157.22193801775575, forMs: 1492.2508282423018 },
      { type: 'pause', who: 'owner', atMs: 868.8897251849994, forMs: 1399.8900787508114 },
      { type: 'stall', who: 'owner', effects: 7, atMs: 338.87538663111627, forMs: 666.483893811144 },
      { type: 'pause', who: 'owner', atMs: 1254.354503704235, forMs: 7346.656162810885 },
      { type: 'stall', who: 1, effects: 0, atMs: 941.1906019086018, forMs: 563.2278901128099 },
      { type: 'replay', who: 'standby', atMs: 1116.6389426216483, forMs: 86.17980833039618 },
    ],
  },
  {
    seed: 30096971,
    name: 'a router wakes behind a one-way cut while the other, alone by then, is stopped',
    times: [10, 22, 30],
    keepMs: 5000,
    targets: 0,
    networks: 3,
    linkLans: [0, 2],
    delayMs: 0.1500028578215279,
    jitterMs: 0.11693724966607988,
    pipeJitterMs: 0,
    settled: false,
    secondStartMs: 4.847287110751495,
    routers: [
      {
        priority: 100,
        autoFailback: false,
        clockRate: 1.0000109902110417,
        clockStart: 8232325.975815998,
        lifetimeLateMs: 141.67108493857086,
        timerJitterMs: 1.3,
        removalMs: 0,
        diskMs: 8.280058951117098,
        restartMs: 375.08955793455243,
        ceiling: 3500775,
      },
      {
        priority: 100,
        autoFailback: false,
        clockRate: 0.9998645797222853,
        clockStart: 2729478.69436373,
        lifetimeLateMs: 67.99789313226938,
        timerJitterMs: 0.2,
        removalMs: 0,
        diskMs: 19.25418545305729,
        restartMs: 203.0591637128964,
        ceiling: 3500402,
      },
    ],
    faults: [
      { type: 'stall', who: 1, effects: 1, atMs: 170.18416366539896, forMs: 167.49177252165973 },
      { type: 'stall', who: 0, effects: 2, atMs: 78.73290980234742, forMs: 100.90878566950559 },
      { type: 'partition', directions: 'r2-to-r1', atMs: 24.093971773982048, forMs: 823.343155295495 },
    ],
  },
  {
    seed: 30119790,
    name: 'a paused router reads an old will when it wakes',
    times: [100, 220, 300],
    keepMs: 5000,
    targets: 0,
    networks: 3,
    linkLans: [0],
    delayMs: 0.15099467005347833,
    jitterMs: 4.822691448498517,
    pipeJitterMs: 0,
    witness: { leaseMs: 855, timeoutMs: 285 },
    settled: true,
    secondStartMs: 4.182271420722827,
    routers: [
      {
        priority: 150,
        autoFailback: false,
        clockRate: 1.0002051758088637,
        clockStart: 3421118.739194935,
        lifetimeLateMs: 169.22600967809558,
        timerJitterMs: 0.2,
        removalMs: 0,
        diskMs: 17.366491031716578,
        restartMs: 350.62273347284645,
        ceiling: 3500853,
      },
      {
        priority: 150,
        autoFailback: false,
        clockRate: 0.9996412032663357,
        clockStart: 2528052.441307809,
        lifetimeLateMs: 193.11315384693444,
        timerJitterMs: 0.2,
        removalMs: 0,
        diskMs: 9.03213160193991,
        restartMs: 174.0378768183291,
        ceiling: 3500262,
      },
    ],
    faults: [
      { type: 'pause', who: 1, atMs: 376.3777730986476, forMs: 1291.5673936087637 },
      { type: 'pause', who: 'standby', atMs: 487.1834937483072, forMs: 1286.0137947671114 },
      { type: 'clog', lan: 0, atMs: 604.7994507942349, forMs: 134.0432467590086 },
      { type: 'witness-cut', who: 'owner', atMs: 1446.3724073488265, forMs: 282.89753412352877 },
    ],
  },
  {
    seed: 40042875,
    name: 'a router starts again beside one that is alone and has lost its vipd, probes are lost',
    times: [10, 22, 30],
    keepMs: 2000,
    targets: 0,
    networks: 4,
    linkLans: [2],
    delayMs: 0.12850245287409054,
    jitterMs: 0.35018154548015445,
    pipeJitterMs: 0,
    settled: true,
    secondStartMs: 42.042480984237045,
    routers: [
      {
        priority: 100,
        autoFailback: false,
        clockRate: 1.000293179403292,
        clockStart: 820564.0250872821,
        lifetimeLateMs: 190.22812470793724,
        timerJitterMs: 0,
        removalMs: 2.864077399671078,
        diskMs: 3.9636343345046043,
        restartMs: 124.82170292641968,
        ceiling: 3500684,
      },
      {
        priority: 100,
        autoFailback: false,
        clockRate: 0.9995242375622038,
        clockStart: 6908304.601875832,
        lifetimeLateMs: 104.66887257061899,
        timerJitterMs: 0,
        removalMs: 0,
        diskMs: 19.553774102358148,
        restartMs: 375.3065857337788,
        ceiling: 3500788,
      },
    ],
    faults: [
      {
        type: 'loss',
        lan: 1,
        from: 0,
        to: 1,
        share: 0.8543329433887266,
        atMs: 174.49393346440047,
        forMs: 24.628107922524215,
      },
      { type: 'witness-slow', ms: 27.124108633724973, atMs: 84.6617960371077, forMs: 29.650973121076824 },
      { type: 'handover', who: 0, atMs: 172.20160842407495, forMs: 47.860368837043644 },
      { type: 'sigterm', who: 'owner', atMs: 21.59024637658149, forMs: 109.86389673072844 },
      { type: 'vipd-broken', who: 'owner', atMs: 130.64739050343633, forMs: 11.387482550833374 },
      { type: 'split', lan: 0, atMs: 173.90865366440266, forMs: 39.054453095793725 },
      {
        type: 'loss',
        lan: 3,
        from: 2,
        to: 1,
        share: 0.08218324420740827,
        atMs: 50.87444271426648,
        forMs: 26.887736038677396,
      },
    ],
  },
];
