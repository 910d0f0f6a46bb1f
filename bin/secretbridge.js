#!/usr/bin/env node
// Plain JavaScript that any Node can parse, so that an old one gets a sentence and not a syntax error.
import { existsSync } from 'node:fs';

const built = new URL('../dist/main.js', import.meta.url);
const source = new URL('../src/main.ts', import.meta.url);

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`secretbridge needs Node 24 or newer; this is ${process.versions.node}.`);
  console.error('  In a checkout `npm run secretbridge -- …` brings its own; else install Node 24 LTS.');
  process.exitCode = 64;
} else {
  await import(existsSync(source) ? source.href : built.href);
}
