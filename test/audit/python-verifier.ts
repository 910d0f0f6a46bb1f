import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pemOf } from '../../src/audit/checkpoint/signing.ts';
import { PUBLIC_KEY } from './tamperings.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/audit-format.md'), 'utf8');

/** The verifier program from the documentation. */
export const VERIFIER = page.split('```python\n')[1]?.split('```')[0] ?? '';

/** Runs the program once for many cases, because Python starts slowly. */
const DRIVER = `
import contextlib, io, runpy, sys
verifier, key, *cases = sys.argv[1:]
for case in cases:
    sys.argv = [verifier, case + "/export.jsonl", "--checkpoints", case + "/checkpoints.jsonl", "--key", key]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(verifier, run_name="__main__")
        print("ok" if "signatures are checked" in said.getvalue() else "unchecked")
    except (Exception, SystemExit):
        print("not ok")
`;

/** The result for each folder: `ok`, `not ok`, or `unchecked` if the signatures could not be checked. */
export async function verifyInPython(folder: string, cases: readonly string[]): Promise<readonly string[]> {
  const [verifier, driver, key] = ['verify.py', 'driver.py', 'key.pem'].map((name) => join(folder, name));
  if (verifier === undefined || driver === undefined || key === undefined) return [];
  await writeFile(verifier, VERIFIER);
  await writeFile(driver, DRIVER);
  await writeFile(key, pemOf(PUBLIC_KEY));
  const { stdout } = await promisify(execFile)('python3', [driver, verifier, key, ...cases], {
    maxBuffer: 1e7,
  });
  return stdout.trim().split('\n');
}
