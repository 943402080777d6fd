import plugin from '../../../plugins/transport-node/index.js';
import { tcpLimitContract } from '../../contracts/tcp-limit.contract.js';

tcpLimitContract('transport-node', plugin);
