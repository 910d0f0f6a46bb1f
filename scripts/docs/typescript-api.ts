import { ts } from '@ts-morph/common';

// The JavaScript API of TypeScript, for packages that import it from `typescript`.
export default ts;
