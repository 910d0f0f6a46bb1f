import { readFileSync, writeFileSync } from 'node:fs';

// Loaded with `node --import` into a program that ends by itself. It saves the kernel's data on the process to a file,
// since they are gone after its end. `process.resourceUsage()` does not work: its `maxRSS` includes that of the parent
// process.

process.on('exit', () => {
  const [stat, status] = ['stat', 'status'].map((name) => readFileSync(`/proc/self/${name}`, 'utf8'));
  writeFileSync(process.env.BENCH_USAGE ?? '', JSON.stringify({ stat, status }));
});
