import { cp, rm } from 'node:fs/promises';
import { step } from './setup/steps.ts';

// The npm package must contain JavaScript, because Node does not run `.ts` files below `node_modules`.

await rm('dist', { recursive: true, force: true });
const ok = await step({ title: 'build', command: ['tsc', '--project', 'tsconfig.build.json'] });
// The files of the review page need no build step, so copy them.
await cp('src/http/ui', 'dist/http/ui', { recursive: true, filter: (path) => !path.endsWith('.json') });
process.exit(ok ? 0 : 1);
