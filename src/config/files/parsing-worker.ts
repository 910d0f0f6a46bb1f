import { parentPort, workerData } from 'node:worker_threads';
import { pack } from './packed.ts';
import type { Parsing, YamlText } from './parsing.ts';
import { parseYaml } from './yaml.ts';

const parsings: readonly Parsing[] = (workerData as readonly YamlText[]).map(({ text, file }) =>
  pack(parseYaml(text, file)),
);
parentPort?.postMessage(parsings);
