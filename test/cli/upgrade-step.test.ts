// What `tandem upgrade` does, by what runs on the router.
import test from 'ava';
import { lacking, type UpgradeView, upgradeStep } from '../../src/cli/upgrade-step.ts';
import { sampleSnapshot } from './samples.ts';

const NEW = '0.4.0';
const running = (more: Partial<UpgradeView>): UpgradeView => ({
  ...{ pulse: '0.3.0', director: '0.3.0', node: 'router-a', peerNode: 'router-b' },
  ...{ role: 'standby', peerRole: 'active', lacks: null, ...more },
});

test('a standby is restarted when one of its daemons runs another version, or none', t => {
  for (const more of [{}, { pulse: NEW }, { director: NEW }, { pulse: NEW, director: null }])
    t.is(upgradeStep(running(more), NEW, false).do, 'restart');
  const nothing = { pulse: null, director: null, node: '', peerNode: '', role: null, peerRole: null };
  t.is(upgradeStep(running(nothing), NEW, false).do, 'restart', 'nothing runs');
});

test('nothing is done where both run what is installed, on whichever router', t => {
  for (const role of ['standby', 'active'] as const)
    t.like(upgradeStep(running({ pulse: NEW, director: NEW, role }), NEW, true), {
      do: 'nothing',
      words:
        'router-a runs 0.4.0 already: nothing was restarted; for another build of that version: systemctl restart tandem-director tandem-pulse',
    });
});

test('an active router is not restarted: first the standby, then it hands over', t => {
  const active = running({ role: 'active', peerRole: 'standby' });
  const refused = upgradeStep(active, NEW, false);
  t.is(refused.do, 'refuse');
  t.regex(refused.words, /first on router-b: tandem upgrade; then here: tandem upgrade --handover/);
  t.is(upgradeStep(active, NEW, true).do, 'hand-over');
});

test('with --handover a peer that has just been restarted is waited for, though it is not heard yet', t => {
  for (const peerRole of [null, 'starting', 'active'] as const) {
    const active = running({ role: 'active', peerRole });
    t.is(upgradeStep(active, NEW, true).do, 'wait');
    t.regex(upgradeStep(active, NEW, true).words, /router-b is .*: nobody could take over, nothing was restarted/);
    t.is(upgradeStep(active, NEW, false).do, 'refuse');
  }
});

test('ready is who serves, or could take over now', t => {
  const { peer } = sampleSnapshot();
  const standby = { role: 'standby', rulesIn: true, warm: true } as const;
  t.is(lacking(sampleSnapshot(standby)), null);
  t.is(lacking(sampleSnapshot({ role: 'active', serving: true })), null);
  t.regex(lacking(sampleSnapshot({ role: 'active', serving: false })) ?? '', /does not serve/);
  t.regex(lacking(sampleSnapshot({ ...standby, rulesIn: false })) ?? '', /rules/);
  const bar = 'vipd is not running: see VIPD_GONE in the log';
  t.is(lacking(sampleSnapshot({ ...standby, bar })), bar);
  t.is(lacking(sampleSnapshot({ ...standby, bar: 'on hold', hold: { on: true, until: null } })), null);
  t.regex(lacking(sampleSnapshot({ ...standby, warm: false })) ?? '', /cold/);
  t.regex(lacking(sampleSnapshot({ ...standby, peer: null })) ?? '', /does not hear/);
  t.regex(lacking(sampleSnapshot({ ...standby, peer: peer && { ...peer, silent: true } })) ?? '', /does not hear/);
  t.regex(lacking(sampleSnapshot({ role: 'starting' })) ?? '', /starting/);
});
