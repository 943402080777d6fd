import plugin from '../../../plugins/transport-uws/index.js';
import { slowPeersContract } from '../../contracts/slow-peers.contract.js';

slowPeersContract('transport-uws', plugin);
