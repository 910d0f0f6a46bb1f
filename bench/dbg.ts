import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openLab, type Engine } from './world/lab.ts';
import { openBusy } from './world/busy.ts';
import { loadavg } from 'node:os';
const lab = await openLab({ onServer() {} });
try {
  await using it = await openBusy(lab, { engine: (process.argv[2] ?? 'memory') as Engine, mappings: 1000 });
  await it.add();
  const tries = Number(process.argv[3] ?? 5);
  const starts: number[] = [];
  const ms: number[] = [];
  for (let n = 1; n <= tries; n++) {
    const rush = await it.begin();
    starts.push(Date.now());
    const t0 = performance.now();
    const left = rush.left();
    ms.push(await it.add());
    const after = rush.left();
    await rush.over;
    console.log(n, ms.at(-1)!.toFixed(0), 'left', left, after, 'burst', (performance.now() - t0).toFixed(0), 'load', loadavg()[0]!.toFixed(1));
  }
  const db = new DatabaseSync((await import('node:fs')).readdirSync('/tmp').filter(f=>f.startsWith('secretbridge-busy-')).map(f=>'/tmp/'+f).sort((a,b)=>statSync(b).mtimeMs-statSync(a).mtimeMs)[0]! + '/state/audit.db', { readOnly: true });
  const rows = db.prepare("select * from records").all() as any[];
  for (let n = 1; n <= tries; n++) {
    const s = starts[n - 1]!;
    const own = rows.map(r => ({ ...r, body: JSON.stringify(r) })).filter(r => r.body.includes('new-' + n + '"') || r.body.includes('new-' + n + ' ') || (r.action === 'configure'));
    const t = (r: any) => (typeof r.time === 'number' ? r.time : Date.parse(r.time)) - s;
    const near = own.filter(r => t(r) > 0 && t(r) < ms[n - 1]! + 500).map(r => `${r.action}${r.phase ? '/' + r.phase : ''}@${t(r)}`);
    console.log(n, near.join(' '), 'seen@' + ms[n - 1]!.toFixed(0));
  }
} finally { await lab[Symbol.asyncDispose](); }
