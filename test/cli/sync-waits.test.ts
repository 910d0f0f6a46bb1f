import { describe, expect, it } from 'vitest';
import { DB, HEAD, openBench } from './harness.ts';

const GONE = `  - name: gone
    target: { namespace: apps }
    data: { KEY: { store: local, key: gone.json } }
`;
const ELSEWHERE = `  - name: elsewhere
    target: { namespace: apps }
    data: { KEY: { store: down, key: x } }
`;
const DOWN = HEAD.replace(' ]\n', ', { name: down, kind: files, path: ./not-there } ]\n');

describe('sync', () => {
  it('`sync` exits with 1 if a store is down, even if a person must act on a target of another store', async () => {
    await using bench = await openBench(`${DOWN}mappings:\n${ELSEWHERE}`);
    const { code, stdout } = await bench.run('sync');
    expect(code).toBe(1);
    expect(stdout).toContain('STORE_UNAVAILABLE: store down, key x: ');
    await bench.write('secretbridge.yaml', `${DOWN}${DB}${ELSEWHERE}${GONE}`);
    const both = await bench.run('sync', '--output', 'json');
    expect(both).toMatchObject({ code: 1, json: { summary: { created: 1, failed: 2 } } });
    expect((await bench.run('plan')).code).toBe(1);
  });
});
