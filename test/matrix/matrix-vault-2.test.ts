import { VAULT_2 } from './kinds/vault.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(VAULT_2);
