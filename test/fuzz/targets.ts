// All targets in TypeScript, in the order in which they run.
import type { Target } from './target.ts';
import { configTarget } from './targets/config.ts';
import { controlTarget } from './targets/control.ts';
import { electionTarget } from './targets/election.ts';
import { heartbeatTarget } from './targets/heartbeat.ts';
import { journalTarget } from './targets/journal.ts';
import { feedTarget, splitterTarget, stateFileTarget, vipdLineTarget } from './targets/lines.ts';
import { ftpDialogueTarget } from './targets/nanny.ts';
import { portDialogueTarget } from './targets/port-check.ts';
import { ftpReplyTarget, syncFrameTarget, syncTarget } from './targets/remote.ts';

export const TARGETS: readonly Target[] = [
  heartbeatTarget,
  electionTarget,
  vipdLineTarget,
  splitterTarget,
  controlTarget,
  feedTarget,
  configTarget,
  stateFileTarget,
  journalTarget,
  syncTarget,
  syncFrameTarget,
  ftpReplyTarget,
  ftpDialogueTarget,
  portDialogueTarget,
];
