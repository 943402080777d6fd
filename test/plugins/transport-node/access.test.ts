import transportNode from '../../../plugins/transport-node/index.js';
import { accessContract } from '../../contracts/access.contract.js';

accessContract('transport-node', transportNode);
