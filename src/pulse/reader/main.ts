// Reads the config and the pair's keys for a running pulse, as a child of it: `node main.js
// KEY_FILE FILE NODE`, or the keys alone: `node main.js KEY_FILE`. A file system that hangs and a
// parser at work have no place in the heartbeat's event loop, nor in its real-time class. Writes
// one FilesReading as JSON on stdout, which is pulse's own pipe, and ends.
import { pulseDigest, restartParts } from '../../config/digest.ts';
import { KeyFileError, loadKeys } from '../../config/io/key.ts';
import { loadConfig, mistakesOn } from '../../config/io/load.ts';
import { nodeView } from '../../config/node.ts';
import { ignoreUserSignals } from '../../units/io/user-signals.ts';
import type { ConfigReading, FilesReading, KeysReading } from '../reading.ts';
import { reloadableOf } from '../settings.ts';

function read(file: string, node: string): ConfigReading {
  const loaded = loadConfig(file);
  const mistakes = mistakesOn(loaded, file, node);
  if (!loaded.ok || mistakes.length > 0) return { ok: false, mistakes: mistakes.length, first: mistakes[0] ?? '' };
  const { config, digest, warnings } = loaded;
  return {
    ok: true,
    next: reloadableOf(config, nodeView(config, node)),
    digest,
    pulseDigest: pulseDigest(config, node),
    parts: restartParts(config, node),
    warnings: warnings.length,
  };
}

function readKeys(file: string): KeysReading {
  try {
    return { ok: true, keys: loadKeys(file).accept.map(key => key.toString('hex')) };
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    return { ok: false, problem: error.message };
  }
}

ignoreUserSignals();
const [, , keyFile = '', file, node = ''] = process.argv;
const reading: FilesReading = { config: file === undefined ? null : read(file, node), keys: readKeys(keyFile) };
process.stdout.write(`${JSON.stringify(reading)}\n`);
