import { rm } from 'node:fs/promises';
import { step } from './setup/steps.ts';

// A package on npm must hold JavaScript: Node does not run `.ts` below `node_modules`.

await rm('dist', { recursive: true, force: true });
process.exit((await step({ title: 'build', command: ['tsc', '--project', 'tsconfig.build.json'] })) ? 0 : 1);
