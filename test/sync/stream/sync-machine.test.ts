// The machine by its inputs and effects, one side at a time: what is sent, what the kernel is given, what is refused.
import test from 'ava';
import type { DrainWord } from '../../../src/drain/drain-word.ts';
import type { SyncRole } from '../../../src/status/sync-status.ts';
import type { SyncEffect } from '../../../src/sync/stream/effect.ts';
import {
  type Control,
  type ControlOf,
  type Id,
  readEntries,
  readResyncEnd,
  writeControl,
  writeEntries,
  writeResyncBegin,
  writeResyncEnd,
} from '../../../src/sync/stream/frame.ts';
import { type Entry, entryKeyOf, FLAG, isTemplate } from '../../../src/sync/table/entry.ts';
import { EntryDigest } from '../../../src/sync/table/entry-digest.ts';
import {
  at,
  Bench,
  clientOf,
  closing,
  connection,
  controlsOf,
  eventsOf,
  MARK,
  numberedOf,
  OTHER_SERVER,
  PERSISTENCE_S,
  SERVER,
  THEIRS,
  template,
} from './sync-entries.ts';

const STREAM = '2222222200000001' as Id;

/** Says what the peer's director would say. */
class Peer {
  readonly bench: Bench;
  readonly node: 1 | 2;
  readonly instance: Id;
  #roles = 0;
  #seq = 0;

  constructor(bench: Bench, node: 1 | 2 = 2, instance: Id = THEIRS) {
    this.bench = bench;
    this.node = node;
    this.instance = instance;
  }

  connect(link = 0): SyncEffect[] {
    const up = this.bench.input({ type: 'link-up', link });
    const { node, instance } = this;
    const sizes = { templates: 0, connections: 0 };
    const hello: Control = { type: 'hello', version: 1, node, instance, kernel: '6.1.0', ...sizes, met: true };
    return [...up, ...this.say(hello, link)];
  }

  say(message: Control, link = 0): SyncEffect[] {
    return this.bench.input({ type: 'frame', link, frame: writeControl(message) });
  }

  role(role: SyncRole, counter: number, stream: Id | null = null, link = 0): SyncEffect[] {
    return this.say({ type: 'role', n: ++this.#roles, role, epoch: { counter, node: this.node }, stream }, link);
  }

  frame(frame: Buffer, link = 0): SyncEffect[] {
    return this.bench.input({ type: 'frame', link, frame });
  }

  /** The next frame of the stream. */
  send(kind: 'live' | 'bulk', entries: readonly Entry[], link = 0): SyncEffect[] {
    return this.frame(writeEntries(kind, STREAM, ++this.#seq, entries), link);
  }

  /** A whole resync, as a source sends it. */
  resync(entries: readonly Entry[]): SyncEffect[] {
    const digest = new EntryDigest();
    for (const entry of entries) digest.add(entry);
    const effects = this.frame(writeResyncBegin(STREAM, ++this.#seq, { resync: 1, entries: entries.length }));
    if (entries.length > 0) effects.push(...this.send('bulk', entries));
    const end = { resync: 1, count: entries.length, digest: digest.value };
    return [...effects, ...this.frame(writeResyncEnd(STREAM, ++this.#seq, end))];
  }
}

/** A source with `entries` in its kernel, and a peer that takes its stream. */
function source(entries: readonly Entry[] = [], links = 1): { bench: Bench; peer: Peer; stream: Id } {
  const bench = new Bench();
  const peer = new Peer(bench);
  bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  answerTable(bench, entries);
  bench.wait(100);
  for (let link = 0; link < links; link++) peer.connect(link);
  peer.role('sink', 1);
  const role = controlsOf(bench.effects).findLast(message => message.type === 'role') as ControlOf<'role'>;
  return { bench, peer, stream: role.stream as Id };
}

function attached(entries: readonly Entry[] = [], links = 1) {
  const parts = source(entries, links);
  const effects = parts.peer.say({ type: 'request', stream: parts.stream, have: 0 });
  effects.push(...parts.bench.wait(50));
  const seq = Math.max(...numberedOf(effects).map(frame => frame.seq));
  parts.peer.say({ type: 'ack', stream: parts.stream, seq, received: seq });
  return { ...parts, effects, seq };
}

/** The peer's pings come for so long, as those of every director. */
function speaks(bench: Bench, peer: Peer, forMs: number): SyncEffect[] {
  return Array.from({ length: forMs / 500 }, () => [
    ...peer.say({ type: 'ping', at: 1, stream: null, seq: 0 }),
    ...bench.wait(500),
  ]).flat();
}

function answerTable(bench: Bench, entries: readonly Entry[] | null): SyncEffect[] {
  const asked = bench.effects.findLast(effect => effect.type === 'read-table');
  return bench.input({ type: 'table', id: asked?.type === 'read-table' ? asked.id : 0, entries, activeData: [] });
}

/** A sink that follows a peer; its kernel is compared and found right. */
function warmSink(entries: readonly Entry[] = []): { bench: Bench; peer: Peer } {
  const { bench, peer } = sink();
  peer.resync(entries);
  bench.wait(20);
  answerTable(bench, entries);
  return { bench, peer };
}

function sink(): { bench: Bench; peer: Peer } {
  const bench = new Bench();
  const peer = new Peer(bench);
  bench.input({ type: 'role', role: 'sink', epoch: { counter: 1, node: 2 }, peerServing: true });
  peer.connect();
  peer.role('source', 1, STREAM);
  return { bench, peer };
}

const lastAck = (effects: readonly SyncEffect[]) =>
  controlsOf(effects).findLast(message => message.type === 'ack') as ControlOf<'ack'> | undefined;

test('a source reads its table at the start, and a peer that asks before has to wait for it', t => {
  const bench = new Bench();
  const peer = new Peer(bench);
  const effects = bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  t.true(effects.some(effect => effect.type === 'read-table' && effect.activeData));
  peer.connect();
  peer.role('sink', 1);
  const role = controlsOf(bench.effects).findLast(message => message.type === 'role') as ControlOf<'role'>;
  t.deepEqual(numberedOf(peer.say({ type: 'request', stream: role.stream as Id, have: 0 })), []);
  answerTable(bench, [template(), connection()]);
  const kinds = numberedOf(bench.wait(300)).map(frame => frame.kind);
  t.deepEqual(kinds, ['resync-begin', 'bulk', 'resync-end']);
});

test('a resync sends templates first, with what is left of their time, and tells number and digest', t => {
  const entries = [connection(), template({ timeoutS: 100 })];
  const { effects } = attached(entries);
  const [, bulk, end] = numberedOf(effects);
  const sent = readEntries(bulk?.payload ?? Buffer.alloc(0))?.entries ?? [];
  t.deepEqual(sent.map(isTemplate), [true, false]);
  const digest = new EntryDigest();
  for (const entry of entries) digest.add(entry);
  t.like(readResyncEnd(end?.payload ?? Buffer.alloc(0)), { count: 2, digest: digest.value });
});

test('live entries go out at once, then coalesced, on every link; a resync on one', t => {
  const { bench, effects } = attached([template()], 2);
  t.deepEqual(
    numberedOf(effects).map(frame => frame.link),
    [0, 0, 0],
  );
  bench.wait(100);
  const first = numberedOf(bench.input({ type: 'entries', entries: [connection({ clientPort: 1 })] }));
  t.deepEqual(
    first.map(frame => frame.link),
    [0, 1],
  );
  const later: SyncEffect[] = [];
  for (let port = 2; port < 7; port++) {
    later.push(...bench.input({ type: 'entries', entries: [connection({ clientPort: port })] }));
  }
  t.deepEqual(numberedOf(later), []);
  const together = numberedOf(bench.wait(20));
  t.deepEqual([...new Set(together.map(frame => frame.seq))].length, 1);
  t.is(readEntries(together[0]?.payload ?? Buffer.alloc(0))?.entries.length, 5);
});

test('at most 200 entries go into a live frame', t => {
  const { bench } = attached();
  const entries = Array.from({ length: 450 }, (_, i) => connection({ client: clientOf(i) }));
  const frames = numberedOf([...bench.input({ type: 'entries', entries }), ...bench.wait(30)]);
  t.deepEqual(
    frames.map(frame => readEntries(frame.payload)?.entries.length),
    [200, 200, 50],
  );
});

test('what a link had when it went down goes out on the other', t => {
  const { bench, stream, peer } = attached([], 2);
  bench.wait(100);
  bench.full.add(1);
  const [sent] = numberedOf(bench.input({ type: 'entries', entries: [connection()] }));
  bench.full.clear();
  bench.wait(100);
  t.is(bench.machine.status(bench.now as never, String).unacknowledged, 1);
  const again = numberedOf(bench.input({ type: 'link-down', link: 0, why: 'reset' }));
  t.deepEqual(
    again.map(({ link, seq }) => ({ link, seq })),
    [{ link: 1, seq: sent?.seq }],
  );
  peer.say({ type: 'ack', stream, seq: sent?.seq as number, received: sent?.seq as number }, 1);
  t.is(bench.machine.status(bench.now as never, String).unacknowledged, 0);
});

test('what is not acknowledged for 300 ms goes out on a link that it has not been on', t => {
  const { bench } = attached([], 2);
  bench.wait(100);
  bench.full.add(1);
  const [sent] = numberedOf(bench.input({ type: 'entries', entries: [connection()] }));
  bench.full.clear();
  t.deepEqual(numberedOf(bench.wait(250)), []);
  const again = numberedOf(bench.wait(150));
  t.deepEqual(
    again.map(({ link, seq }) => ({ link, seq })),
    [{ link: 1, seq: sent?.seq }],
  );
});

test('what no link takes waits, and goes out when one does', t => {
  const { bench } = attached();
  bench.full.add(0);
  bench.input({ type: 'entries', entries: [connection()] });
  bench.wait(200);
  bench.full.clear();
  t.is(numberedOf(bench.wait(100)).length, 1);
});

test('a peer that comes back with what it has goes on from there, without a resync', t => {
  const { bench, peer, stream, seq } = attached([template()]);
  bench.input({ type: 'link-down', link: 0, why: 'cut' });
  for (let port = 1; port < 4; port++) {
    bench.input({ type: 'entries', entries: [connection({ clientPort: port })] });
    bench.wait(500);
  }
  const effects = [...peer.connect(), ...peer.say({ type: 'request', stream, have: seq }), ...bench.wait(300)];
  t.deepEqual(
    numberedOf(effects).map(frame => [frame.kind, frame.seq]),
    [
      ['live', seq + 1],
      ['live', seq + 2],
      ['live', seq + 3],
    ],
  );
  t.is(bench.machine.status(bench.now as never, String).counters.resyncs, 1);
});

test('a peer that has lost what it acknowledged gets a new stream', t => {
  const { peer, stream } = attached([template()]);
  const effects = peer.say({ type: 'request', stream, have: 0 });
  t.deepEqual(eventsOf(effects), ['SYNC_STREAM_RESTARTED']);
  const role = controlsOf(effects).find(message => message.type === 'role') as ControlOf<'role'>;
  t.not(role.stream, stream);
});

test('a question that was long on its way, behind newer acknowledgements, is no loss', t => {
  const { peer, stream, seq } = attached([template()]);
  t.true(seq > 1);
  const effects = [
    ...peer.say({ type: 'request', stream, have: seq - 1 }),
    ...peer.say({ type: 'need', stream, from: 1, to: seq }),
  ];
  t.deepEqual(eventsOf(effects), []);
  t.deepEqual(numberedOf(effects), []);
});

test('a peer that is too far behind gets a new stream, and what is kept for it stays bounded', t => {
  const { bench } = attached();
  bench.input({ type: 'link-down', link: 0, why: 'cut' });
  const events: string[] = [];
  for (let i = 0; i < 9_000; i++) {
    events.push(...eventsOf(bench.input({ type: 'entries', entries: [connection({ clientPort: 1 + i })] })));
    bench.now += 11;
    t.true(bench.machine.held.ring <= 8_192);
  }
  t.true(events.includes('SYNC_STREAM_RESTARTED'));
  t.is(bench.machine.held.ring, 0);
});

test('a resync keeps to its window, and goes on with every acknowledgement', t => {
  const entries = Array.from({ length: 70_000 }, (_, i) => template({ client: clientOf(i) }));
  const { bench, peer, stream } = source(entries);
  let frames = numberedOf([...peer.say({ type: 'request', stream, have: 0 }), ...bench.wait(200)]);
  t.is(frames.length, 65, 'begin, and 64 frames of 500');
  const seq = frames.at(-1)?.seq as number;
  frames = numberedOf([...peer.say({ type: 'ack', stream, seq: seq - 10, received: seq }), ...bench.wait(200)]);
  t.is(frames.length, 54);
});

test('the end of a connection that another one with the same key has replaced is no news', t => {
  const { bench } = attached();
  bench.input({ type: 'entries', entries: [connection({ server: OTHER_SERVER })] });
  bench.wait(50);
  t.deepEqual(numberedOf([...bench.input({ type: 'entries', entries: [closing()] }), ...bench.wait(50)]), []);
});

test('after lost events the table is read, and what is new in it is published in the same stream', t => {
  const { bench } = attached([template()]);
  const lost = bench.input({ type: 'lost', what: 'conntrack: no buffer space' });
  t.deepEqual(eventsOf(lost), ['SYNC_EVENTS_LOST']);
  const frames = numberedOf([...answerTable(bench, [template(), connection()]), ...bench.wait(100)]);
  t.is(frames.length, 1);
  t.deepEqual(readEntries(frames[0]?.payload ?? Buffer.alloc(0))?.entries.map(entryKeyOf), [entryKeyOf(connection())]);
  t.is(bench.machine.status(bench.now as never, String).counters.streams, 1);
});

test('a table that cannot be read is read again', t => {
  const bench = new Bench();
  bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  answerTable(bench, null);
  t.true(bench.wait(3_000).some(effect => effect.type === 'read-table'));
});

test('a source keeps the template of a client with a connection alive, and no other', t => {
  const idle = template({ client: clientOf(1) });
  const { bench } = attached([template({ timeoutS: 200 }), connection(), idle]);
  t.deepEqual(
    bench.injected.filter(isTemplate).map(entry => [entry.client, entry.timeoutS]),
    [[template().client, PERSISTENCE_S]],
    'at once, since its time had been cut',
  );
  bench.injected.length = 0;
  bench.wait(100_000);
  t.deepEqual(bench.injected, []);
  const effects = bench.wait(60_000);
  t.deepEqual(bench.injected.map(entryKeyOf), [entryKeyOf(template())], 'after a third of the persistence');
  t.true(numberedOf(effects).length > 0, 'and the peer hears of it');
});

test('a template that the kernel uses with a short time-out gets its full one back', t => {
  const { bench } = attached();
  bench.input({ type: 'entries', entries: [connection(), template({ timeoutS: 20 })] });
  bench.wait(10);
  t.deepEqual(
    bench.injected.map(entry => [entryKeyOf(entry), entry.timeoutS]),
    [[entryKeyOf(template()), PERSISTENCE_S]],
  );
});

test('a source never puts connections into its own kernel', t => {
  const { bench } = attached([template(), connection(), closing({ clientPort: 2 })]);
  bench.wait(200_000);
  t.true(bench.injected.every(isTemplate));
});

test('when a server takes clients again, the templates to it are put in once more', t => {
  const { bench } = attached([template(), template({ client: clientOf(1), server: OTHER_SERVER })]);
  bench.injected.length = 0;
  bench.input({ type: 'server-up', mark: MARK, server: '10.0.0.1' as never });
  bench.wait(50);
  t.deepEqual(
    bench.injected.map(entry => entry.server),
    [SERVER],
  );
});

test('restored entries go into mirror and kernel, but not over what is known already', t => {
  const { bench } = attached([template({ server: OTHER_SERVER })]);
  bench.injected.length = 0;
  const restored = [template(), template({ client: clientOf(1) }), connection({ client: clientOf(1) })];
  const foreign = template({ client: clientOf(2), server: '0a0000ff' as never });
  const effects = bench.input({ type: 'restored', entries: [...restored, foreign] });
  t.deepEqual(bench.injected.map(entryKeyOf), restored.slice(1).map(entryKeyOf));
  t.is(readEntries(numberedOf([...effects, ...bench.wait(50)])[0]?.payload ?? Buffer.alloc(0))?.entries.length, 2);
});

test('a sink asks for the stream, gives the kernel what comes, and acknowledges only what it has taken', t => {
  const { bench, peer } = sink();
  t.like(
    controlsOf(bench.effects).find(message => message.type === 'request'),
    { stream: STREAM, have: 0 },
  );
  bench.answersInjection = false;
  peer.resync([template(), connection()]);
  t.like(lastAck(bench.wait(100)), { seq: 1, received: 3 }, 'the beginning alone needs no kernel');
  const inject = bench.effects.find(effect => effect.type === 'inject');
  const effects = bench.input({ type: 'injected', id: inject?.type === 'inject' ? inject.id : 0, dropped: 0 });
  t.like(lastAck(effects), { seq: 3, received: 3 });
});

test('what the kernel dropped is given to it again before it is acknowledged', t => {
  const { bench, peer } = sink();
  bench.answersInjection = false;
  peer.resync([template()]);
  for (let attempt = 0; attempt < 3; attempt++) {
    const inject = bench.effects.findLast(effect => effect.type === 'inject');
    const id = inject?.type === 'inject' ? inject.id : 0;
    const effects = bench.input({ type: 'injected', id, dropped: attempt < 2 ? 1 : 0 });
    t.is(lastAck(effects)?.seq === 3, attempt === 2, `attempt ${attempt}`);
  }
  t.is(bench.machine.status(bench.now as never, String).counters.inject_dropped, 2);
});

test('a sink is warm once its kernel was compared, and not before', t => {
  const { bench, peer } = sink();
  peer.resync([template(), connection()]);
  bench.wait(50);
  t.false(bench.machine.warm);
  const effects = answerTable(bench, [template(), connection()]);
  t.true(bench.machine.warm);
  t.true(effects.some(effect => effect.type === 'warm' && effect.warm));
  t.like(
    controlsOf([...effects, ...bench.wait(10)]).find(message => message.type === 'verified'),
    {
      ok: true,
      by: 'entries',
      count: 2,
      repaired: 0,
    },
  );
});

test('what is missing after a resync is put in again, what is too much is made to expire', t => {
  const { bench, peer } = sink();
  peer.resync([template(), connection()]);
  bench.wait(50);
  bench.injected.length = 0;
  answerTable(bench, [template(), connection({ clientPort: 7, timeoutS: 500 })]);
  bench.wait(10);
  t.false(bench.machine.warm);
  t.is(bench.injected.length, 1);
  t.like(bench.injected[0], { clientPort: 40_000, flags: 0 });
  bench.wait(1_100);
  t.like(bench.injected[1], { clientPort: 7, timeoutS: 1, flags: FLAG.inactive });
  answerTable(bench, [template(), connection()]);
  t.true(bench.machine.warm);
  t.is(bench.machine.status(bench.now as never, String).resync?.repaired, 1);
});

test('what the kernel has too much because clients are already coming here is left alone', t => {
  const { bench, peer } = sink();
  peer.resync([template()]);
  bench.wait(50);
  answerTable(bench, [template(), connection({ clientPort: 7 })]);
  bench.injected.length = 0;
  bench.wait(100);
  bench.input({ type: 'entries', entries: [connection({ clientPort: 7 })] });
  bench.wait(2_000);
  t.deepEqual(bench.injected, []);
});

test('a kernel that never has what it is given leaves the sink cold, and is compared again later', t => {
  const { bench, peer } = sink();
  peer.resync([template()]);
  for (let round = 0; round < 3; round++) {
    bench.wait(50);
    answerTable(bench, []);
  }
  t.true(eventsOf(bench.effects).includes('SYNC_VERIFY_FAILED'));
  t.false(bench.machine.warm);
  peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 3 });
  t.true(bench.machine.status(bench.now as never, String).problems.length > 0);
  bench.wait(16_000);
  peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 3 });
  answerTable(bench, [template()]);
  t.true(bench.machine.warm);
});

test('a large table is compared by counters, and the entries of a server that lacks some are put in again', t => {
  const { bench, peer } = sink();
  const entries = Array.from({ length: 20_400 }, (_, i) =>
    template({ client: clientOf(i), server: i % 2 === 0 ? SERVER : OTHER_SERVER }),
  );
  const digest = new EntryDigest();
  for (const entry of entries) digest.add(entry);
  peer.frame(writeResyncBegin(STREAM, 1, { resync: 1, entries: entries.length }));
  for (let i = 0; i < 51; i++) peer.frame(writeEntries('bulk', STREAM, 2 + i, entries.slice(i * 400, i * 400 + 400)));
  peer.frame(writeResyncEnd(STREAM, 53, { resync: 1, count: 20_400, digest: digest.value }));
  bench.wait(200);
  const counts = (first: number, second: number) => {
    const asked = bench.effects.findLast(effect => effect.type === 'read-counts');
    const of = (server: string, templates: number) => ({
      mark: MARK,
      server: server as never,
      templates,
      connections: 0,
    });
    const id = asked?.type === 'read-counts' ? asked.id : 0;
    bench.input({ type: 'counts', id, counts: [of('10.0.0.1', first), of('10.0.0.2', second)] });
  };
  bench.injected.length = 0;
  counts(10_200, 10_190);
  peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 53 });
  bench.wait(200);
  t.false(bench.machine.warm);
  t.is(bench.injected.length, 10_200);
  t.true(bench.injected.every(entry => entry.server === OTHER_SERVER));
  counts(10_200, 10_200);
  t.true(bench.machine.warm);
  t.is(bench.machine.status(bench.now as never, String).resync?.repaired, 10);
});

test('frames out of order wait for the one before them; a hole is asked for after 100 ms', t => {
  const { bench, peer } = warmSink();
  bench.injected.length = 0;
  peer.frame(writeEntries('live', STREAM, 4, [connection({ clientPort: 2 })]));
  const before = bench.wait(90);
  t.is(bench.injected.length, 0);
  t.false(controlsOf(before).some(message => message.type === 'need'));
  t.like(
    controlsOf(bench.wait(60)).find(message => message.type === 'need'),
    { from: 3, to: 3 },
  );
  peer.frame(writeEntries('live', STREAM, 3, [connection({ clientPort: 1 })]));
  bench.wait(10);
  t.deepEqual(
    bench.injected.map(entry => entry.clientPort),
    [1, 2],
  );
});

test('the last frame of all is missed too: the source says what it has sent', t => {
  const { bench, peer } = warmSink();
  peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 5 });
  t.like(
    controlsOf(bench.wait(200)).find(message => message.type === 'need'),
    { from: 3, to: 5 },
  );
});

test('a hole that is not repaired within 5 s makes it cold, and a new resync is asked for', t => {
  const { bench, peer } = warmSink();
  for (let i = 0; i < 12; i++) {
    peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 3 });
    bench.wait(500);
  }
  t.false(bench.machine.warm);
  t.true(controlsOf(bench.effects).filter(message => message.type === 'request' && message.have === 0).length >= 2);
});

test('a frame that comes on both links is taken once', t => {
  const { bench, peer } = warmSink();
  bench.injected.length = 0;
  const frame = writeEntries('live', STREAM, 3, [connection()]);
  peer.frame(frame);
  peer.frame(frame);
  t.is(bench.injected.length, 1);
  t.is(bench.machine.status(bench.now as never, String).counters.frames_duplicate, 1);
});

test('frames of another stream, of a peer that is no source, or to a source, are not taken', t => {
  const other = writeEntries('live', '9999999999999999' as Id, 3, [connection()]);
  const { bench, peer } = warmSink();
  bench.injected.length = 0;
  peer.frame(other);
  peer.role('sink', 1);
  peer.frame(writeEntries('live', STREAM, 3, [connection()]));
  t.deepEqual(bench.injected, []);
  const owner = attached();
  owner.bench.injected.length = 0;
  owner.peer.role('source', 0, STREAM);
  owner.peer.frame(writeEntries('live', STREAM, 1, [connection()]));
  owner.bench.wait(100);
  t.deepEqual(owner.bench.injected, []);
});

test('what belongs to no service of the config is not given to the kernel', t => {
  const { bench, peer } = warmSink();
  bench.injected.length = 0;
  peer.frame(writeEntries('live', STREAM, 3, [connection({ mark: 99 }), connection({ server: '0a0000ff' as never })]));
  bench.wait(10);
  t.deepEqual(bench.injected, []);
  t.is(bench.machine.status(bench.now as never, String).counters.entries_out_of_scope, 2);
});

test('a template with another server replaces the old one in two steps, seconds apart', t => {
  const { bench, peer } = warmSink([template()]);
  bench.injected.length = 0;
  peer.frame(writeEntries('live', STREAM, 4, [template({ server: OTHER_SERVER })]));
  bench.wait(1_900);
  t.deepEqual(
    bench.injected.map(entry => [entry.server, entry.timeoutS]),
    [[SERVER, 1]],
  );
  t.true(bench.machine.isReplacing(entryKeyOf(template())));
  bench.wait(300);
  t.deepEqual(
    bench.injected.slice(1).map(entry => entry.server),
    [OTHER_SERVER],
  );
  t.is(bench.injected[1]?.timeoutS, PERSISTENCE_S - 2);
});

test('a template on which connections of this router hang goes after them; they are put in again', t => {
  const bench = new Bench();
  const peer = new Peer(bench);
  bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  answerTable(bench, [template(), connection()]);
  bench.wait(100);
  bench.input({ type: 'role', role: 'sink', epoch: { counter: 2, node: 2 }, peerServing: true });
  peer.connect();
  peer.role('source', 2, STREAM);
  bench.injected.length = 0;
  peer.resync([template({ server: OTHER_SERVER }), connection()]);
  bench.wait(6_000);
  t.deepEqual(
    bench.injected.map(entry => [isTemplate(entry) ? 'template' : 'connection', entry.server, entry.timeoutS > 1]),
    [
      ['connection', SERVER, true],
      ['connection', SERVER, false],
      ['connection', SERVER, true],
      ['template', SERVER, false],
      ['template', OTHER_SERVER, true],
    ],
  );
});

test('what a former source has and the new one does not name is made to expire, connections before their templates', t => {
  const bench = new Bench();
  const peer = new Peer(bench);
  bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  answerTable(bench, [template(), connection()]);
  bench.wait(100);
  bench.input({ type: 'role', role: 'sink', epoch: { counter: 2, node: 2 }, peerServing: true });
  peer.connect();
  peer.role('source', 2, STREAM);
  bench.injected.length = 0;
  peer.resync([]);
  bench.wait(1_000);
  t.deepEqual(bench.injected.map(entryKeyOf), [entryKeyOf(connection())]);
  bench.wait(2_000);
  t.deepEqual(bench.injected.map(entryKeyOf), [entryKeyOf(connection()), entryKeyOf(template())]);
  t.true(bench.injected.every(entry => entry.timeoutS === 1));
  t.is(bench.machine.mirror.size, 0);
});

test('without a word of the source for 5 s it is cold if the peer serves, and warm again with its next word', t => {
  const { bench, peer } = warmSink();
  bench.wait(4_900);
  t.true(bench.machine.warm);
  bench.wait(300);
  t.false(bench.machine.warm);
  peer.say({ type: 'ping', at: 1, stream: STREAM, seq: 2 });
  t.true(bench.machine.warm);
});

test('a peer that is dead is not waited for: it stays warm for the takeover', t => {
  const { bench } = warmSink([template()]);
  bench.input({ type: 'link-down', link: 0, why: 'reset' });
  bench.input({ type: 'role', role: 'idle', epoch: { counter: 1, node: 2 }, peerServing: false });
  bench.wait(20_000);
  t.true(bench.machine.warm);
});

test('at takeover the mirror is the source’s, also what lay behind a hole; nothing has to be read', t => {
  const { bench, peer } = warmSink([template({ timeoutS: 100 }), connection()]);
  bench.wait(100);
  peer.frame(writeEntries('live', STREAM, 6, [connection({ clientPort: 2 })]));
  bench.effects.length = 0;
  bench.input({ type: 'role', role: 'source', epoch: { counter: 2, node: 1 }, peerServing: false });
  bench.wait(100);
  t.true(bench.machine.warm);
  t.is(bench.machine.mirror.connections, 2);
  t.true(bench.injected.some(entry => entry.clientPort === 2));
  t.false(bench.effects.some(effect => effect.type === 'read-table'));
  t.true(
    bench.injected.some(entry => isTemplate(entry) && entry.timeoutS === PERSISTENCE_S),
    'a live template is refreshed',
  );
});

test('a takeover before it was warm reads the table', t => {
  const { bench, peer } = sink();
  peer.resync([template()]);
  const effects = bench.input({ type: 'role', role: 'source', epoch: { counter: 2, node: 1 }, peerServing: false });
  t.true([...effects, ...bench.wait(100)].some(effect => effect.type === 'read-table' && effect.activeData));
});

test('what the kernel tells just before pulse does is not lost', t => {
  const { bench } = warmSink();
  bench.input({ type: 'entries', entries: [connection()] });
  t.is(bench.machine.mirror.size, 0);
  bench.wait(200);
  bench.input({ type: 'role', role: 'source', epoch: { counter: 2, node: 1 }, peerServing: false });
  t.is(bench.machine.mirror.connections, 1);
});

test('events that were lost just before pulse told of the takeover make it read the table', t => {
  const { bench } = warmSink();
  bench.input({ type: 'lost', what: 'conntrack' });
  bench.wait(200);
  bench.effects.length = 0;
  bench.input({ type: 'role', role: 'source', epoch: { counter: 2, node: 1 }, peerServing: false });
  bench.wait(100);
  t.true(bench.effects.some(effect => effect.type === 'read-table'));
});

test('a client with a connection but without a template gets one, to the server of its connection', t => {
  const { bench } = attached([connection(), closing({ client: clientOf(1) })]);
  t.deepEqual(
    bench.injected.map(entry => [entryKeyOf(entry), entry.server, entry.timeoutS]),
    [[entryKeyOf(template()), SERVER, PERSISTENCE_S]],
  );
});

test('of two sources the one with the older epoch waits: it sends nothing and keeps nothing alive', t => {
  const { bench, peer, stream } = attached([template()]);
  peer.role('source', 5, STREAM);
  bench.injected.length = 0;
  const effects = [...bench.input({ type: 'entries', entries: [connection(), template({ timeoutS: 20 })] })];
  effects.push(...peer.say({ type: 'request', stream, have: 0 }), ...speaks(bench, peer, 3_000));
  t.deepEqual(numberedOf(effects), []);
  t.deepEqual(bench.injected, []);
  t.true(eventsOf(effects).includes('SYNC_TWO_SOURCES'));
  t.true(bench.machine.status(bench.now as never, String).problems.length > 0);
});

test('what a source said before it fell silent is no word of a second one: its router may have lost its power', t => {
  const { bench, peer } = attached([template()]);
  peer.role('source', 5, STREAM);
  t.false(eventsOf(bench.wait(30_000)).includes('SYNC_TWO_SOURCES'));
  t.deepEqual(bench.machine.status(bench.now as never, String).problems, []);
  t.true(eventsOf(speaks(bench, peer, 3_000)).includes('SYNC_TWO_SOURCES'), 'it speaks again');
  bench.wait(3_000);
  t.deepEqual(bench.machine.status(bench.now as never, String).problems, [], 'and is silent again');
});

test('a new director of the peer gets a new stream', t => {
  const { bench, peer, stream } = attached([template()]);
  const restarted = new Peer(bench, 2, '3333333333333333' as Id);
  const effects = restarted.connect(1);
  t.true(eventsOf(effects).includes('SYNC_PEER'));
  const role = controlsOf(effects).find(message => message.type === 'role') as ControlOf<'role'>;
  t.not(role.stream, stream);
  t.deepEqual(
    numberedOf(peer.say({ type: 'request', stream, have: 0 }, 0)),
    [],
    'the former one is not heard any more',
  );
});

test('a director that says it is this node is refused', t => {
  const bench = new Bench();
  const effects = new Peer(bench, 1).connect();
  t.true(eventsOf(effects).includes('SYNC_LINK_REFUSED'));
  t.is(bench.machine.status(bench.now as never, String).phase, 'waiting');
});

test('before the hello nothing else is heard', t => {
  const { bench, peer } = warmSink();
  bench.input({ type: 'link-up', link: 1 });
  peer.role('source', 9, '9999999999999999' as Id, 1);
  t.true(bench.machine.warm);
  t.is(bench.machine.status(bench.now as never, String).counters.control_refused, 1);
});

test('an older role that comes late on a slow link changes nothing', t => {
  const { bench, peer } = warmSink();
  const old = { type: 'role', n: 0, role: 'sink', epoch: { counter: 1, node: 2 }, stream: null } as const;
  peer.say(old);
  bench.injected.length = 0;
  peer.frame(writeEntries('live', STREAM, 3, [connection()]));
  t.is(bench.injected.length, 1);
});

test('answers that nobody asked for are counted, and change nothing', t => {
  const { bench } = warmSink();
  bench.input({ type: 'injected', id: 99, dropped: 0 });
  bench.input({ type: 'table', id: 99, entries: [], activeData: [] });
  bench.input({ type: 'counts', id: 99, counts: [] });
  bench.input({ type: 'refused', ticket: 12_345 });
  bench.input({ type: 'link-up', link: 99 });
  t.true(bench.machine.warm);
  t.is(bench.machine.status(bench.now as never, String).counters.faults, 5);
});

test('what the nannies say goes to a peer that takes it, at once when it changes and every five seconds', t => {
  const bench = new Bench();
  const words = (state: 'up' | 'down') => [{ service: 'ftp', server: 'fs1', state, stage: null, problem: '' }];
  const said = (effects: readonly SyncEffect[]) =>
    controlsOf(effects).flatMap(message => (message.type === 'checks' ? [message.words] : []));
  const pass = (ms: number) => {
    const seen: SyncEffect[] = [];
    for (let at = 0; at < ms; at += 250) {
      bench.now += 250;
      seen.push(...bench.input({ type: 'tick' }));
    }
    return said(seen);
  };
  bench.input({ type: 'checks', words: words('up') });
  const old = new Peer(bench);
  old.connect();
  t.deepEqual(pass(10_000), [], 'one that does not know such a frame is never sent one');
  bench.input({ type: 'link-down', link: 0, why: 'test' });

  const offered = bench.input({ type: 'link-up', link: 0, saysTakes: true });
  t.deepEqual(
    controlsOf(offered).map(({ type }) => type),
    ['hello', 'takes'],
    'this one says what it takes',
  );
  const sizes = { templates: 0, connections: 0 };
  const hello = { type: 'hello', version: 1, node: 2, instance: THEIRS, kernel: '6.1.0', ...sizes, met: true } as const;
  old.say(hello);
  t.deepEqual(pass(5_000), [], 'it has not said yet what it takes');
  old.say({ type: 'takes', frames: ['something-later'] });
  t.deepEqual(pass(5_000), [], 'not this');
  old.say({ type: 'takes', frames: ['something-later', 'checks'] });
  t.deepEqual(pass(250), [words('up')]);
  t.deepEqual(pass(4_500), []);
  t.deepEqual(pass(750), [words('up')]);
  t.deepEqual(said(bench.input({ type: 'checks', words: words('up') })), [], 'nothing new');
  t.deepEqual(said(bench.input({ type: 'checks', words: words('down') })), [words('down')]);
  const heard = old.say({ type: 'checks', words: words('down') });
  t.deepEqual(
    heard.filter(({ type }) => type === 'peer-checks'),
    [{ type: 'peer-checks', words: words('down') }],
  );
});

test('words on a reload go to a director that takes them, and of too many of its own the rest is dropped', t => {
  const bench = new Bench();
  const id = '0123456789abcdef';
  const word = { says: 'ask', id, step: 'check', digest: null, withinMs: 1_000 } as const;
  const said = (effects: readonly SyncEffect[]) =>
    controlsOf(effects).flatMap(message => (message.type === 'reload' ? [message.word] : []));
  t.is(bench.machine.canReload, 'no sync link to it is up');
  const peer = new Peer(bench);
  peer.connect();
  t.is(bench.machine.canReload, 'its director is of an older version');
  t.deepEqual(said(bench.input({ type: 'reload', word })), []);
  peer.say({ type: 'takes', frames: ['reload'] });
  t.is(bench.machine.canReload, true);
  t.deepEqual(said(bench.input({ type: 'reload', word })), [word]);
  const heard = () => peer.say({ type: 'reload', word }).filter(({ type }) => type === 'peer-reload').length;
  let taken = 0;
  for (let n = 0; n < 300; n++) taken += heard();
  t.is(taken, 200);
  const { reload_words, reload_dropped } = bench.machine.status(bench.now as never, String).counters;
  t.deepEqual([reload_words, reload_dropped], [300, 100]);
  bench.now += 60_000;
  t.is(heard(), 1, 'a minute later');
});

test('what a hook has sent is said once, to a director that takes it, and heard from either', t => {
  const bench = new Bench();
  const word = { hook: 'oncall', dedup: 'p1/SERVER_DOWN/ftp/ftp1' };
  const said = () =>
    controlsOf(bench.input({ type: 'hook-sent', word })).flatMap(message =>
      message.type === 'hook-sent' ? [message.word] : [],
    );
  const peer = new Peer(bench);
  peer.connect();
  t.deepEqual(said(), []);
  peer.say({ type: 'takes', frames: ['hook-sent'] });
  t.deepEqual(said(), [word]);
  t.deepEqual(
    peer.say({ type: 'hook-sent', word }).filter(({ type }) => type === 'peer-hook-sent'),
    [{ type: 'peer-hook-sent', word }],
  );
});

test('a session is first seen when the standby hears of it, and that survives the takeover; a resync brings older ones', t => {
  const known = connection({ clientPort: 41_000 });
  const { bench, peer } = warmSink([known]);
  const resyncAt = bench.now;
  bench.wait(30_000);
  const fresh = connection({ clientPort: 42_000 });
  peer.send('live', [fresh]);
  const toldAt = bench.now;
  bench.wait(30_000);
  const seen = (entry: Entry) => bench.machine.mirror.get(entryKeyOf(entry), at(bench.now));
  bench.input({ type: 'role', role: 'source', epoch: { counter: 2, node: 1 }, peerServing: false });
  bench.input({ type: 'entries', entries: [fresh, known] });
  t.true(seen(known)?.older);
  t.true(Math.abs((seen(known)?.firstSeenAt() ?? 0) - resyncAt) < 1_000);
  t.false(seen(fresh)?.older);
  t.true(Math.abs((seen(fresh)?.firstSeenAt() ?? 0) - toldAt) < 1_000);
});

test('the mirror is whole on a warm sink, and on a source once its table is read', t => {
  const bench = new Bench();
  t.false(bench.machine.whole);
  bench.input({ type: 'role', role: 'source', epoch: { counter: 1, node: 1 }, peerServing: false });
  t.false(bench.machine.whole);
  answerTable(bench, [connection()]);
  bench.wait(100);
  t.true(bench.machine.whole);
  t.true(bench.machine.mirror.get(entryKeyOf(connection()), at(bench.now))?.older, 'it was there before');
  t.true(warmSink().bench.machine.whole);
  t.false(sink().bench.machine.whole);
});

test('what operators have decreed goes the same way; what is left of a time is no news, a new peer is told at once', t => {
  const bench = new Bench();
  const words = (drained: boolean, leftMs: number): DrainWord[] => [
    {
      ...{ service: 'ftp', server: 'fs1', counter: drained ? 1 : 2, router: 'r1', drained },
      ...{ spanMs: 60_000, leftMs, since: '', reason: '', who: '' },
    },
  ];
  const said = (effects: readonly SyncEffect[]) =>
    controlsOf(effects).flatMap(message => (message.type === 'drains' ? [message.words] : []));
  const tick = (ms: number) => {
    bench.now += ms;
    return said(bench.input({ type: 'tick' }));
  };
  bench.input({ type: 'drains', words: words(true, 60_000) });
  const peer = new Peer(bench);
  peer.connect();
  t.deepEqual(tick(10_000), [], 'one of 0.3.0 is never sent such a frame');
  bench.input({ type: 'link-down', link: 0, why: 'test' });
  bench.input({ type: 'link-up', link: 0, saysTakes: true });
  const sizes = { templates: 0, connections: 0 };
  const hello = { type: 'hello', version: 1, node: 2, instance: THEIRS, kernel: '6.1.0', ...sizes, met: true } as const;
  peer.say(hello);
  peer.say({ type: 'takes', frames: ['checks'] });
  t.deepEqual(tick(10_000), [], 'nor one that has not named it');
  peer.say({ type: 'takes', frames: ['checks', 'drains'] });
  t.deepEqual(tick(250), [words(true, 60_000)]);
  t.deepEqual(said(bench.input({ type: 'drains', words: words(true, 59_000) })), []);
  t.deepEqual(tick(5_000), [words(true, 59_000)]);
  t.deepEqual(said(bench.input({ type: 'drains', words: words(false, 0) })), [words(false, 0)]);
  // The director there is another one.
  peer.say({ ...hello, instance: '0123456789abcdef' as Id });
  t.deepEqual(tick(250), [words(false, 0)]);
  const heard = peer.say({ type: 'drains', words: words(true, 1) });
  t.deepEqual(
    heard.filter(({ type }) => type === 'peer-drains'),
    [{ type: 'peer-drains', words: words(true, 1) }],
  );
});
