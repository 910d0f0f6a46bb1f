import { cp, rm } from 'node:fs/promises';
import { step } from './setup/steps.ts';

// A package on npm must hold JavaScript: Node does not run `.ts` below `node_modules`.

await rm('dist', { recursive: true, force: true });
const ok = await step({ title: 'build', command: ['tsc', '--project', 'tsconfig.build.json'] });
// The review page is served without a build step.
await cp('src/http/ui', 'dist/http/ui', { recursive: true, filter: (path) => !path.endsWith('.json') });
process.exit(ok ? 0 : 1);
