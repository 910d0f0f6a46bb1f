import { parentPort, workerData } from 'node:worker_threads';
import { answerOf, type YamlText } from './parsing.ts';

parentPort?.postMessage(answerOf(workerData as readonly YamlText[]));
