import { readFileSync, writeFileSync } from 'node:fs';

// Loaded before a program that ends by itself (`node --import`): what the kernel says of a process is gone with it,
// so its last words are kept in a file. `process.resourceUsage()` would not do, since its `maxRSS` is at least what
// the process that started this one had.

process.on('exit', () => {
  const [stat, status] = ['stat', 'status'].map((name) => readFileSync(`/proc/self/${name}`, 'utf8'));
  writeFileSync(process.env.BENCH_USAGE ?? '', JSON.stringify({ stat, status }));
});
