import { parentPort, workerData } from 'node:worker_threads';
import { pack } from './packed.ts';
import type { ThreadResult, YamlText } from './parsing.ts';
import { parseYaml } from './yaml.ts';

const answer: ThreadResult = (workerData as readonly YamlText[]).map(({ text, file }) => {
  const parsed = parseYaml(text, file);
  const packed = pack(parsed);
  return packed === undefined ? { parsed } : { packed };
});
parentPort?.postMessage(answer);
