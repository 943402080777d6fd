import plugin from '../../../plugins/transport-node/index.js';
import { forgottenUndosContract } from '../../contracts/forgotten-undos.contract.js';

forgottenUndosContract('transport-node', plugin);
