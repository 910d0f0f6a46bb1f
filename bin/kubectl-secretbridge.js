#!/usr/bin/env node
// The kubectl plugin: `kubectl secretbridge status` runs this file with the argument `status`.
import { fileURLToPath } from 'node:url';

const [, , ...args] = process.argv;
const isHelp = args.length === 0 || args.includes('--help') || args.includes('-h');
process.argv = [
  process.argv[0],
  fileURLToPath(new URL('secretbridge.js', import.meta.url)),
  'kubectl',
  ...(isHelp && args.length === 0 ? ['--help'] : args),
];
await import('./secretbridge.js');
