const trust = 'give its issuer to NODE_EXTRA_CA_CERTS';

/** Reasons and remedies by Node's error code. */
const reasons: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: `its certificate is self-signed; ${trust}`,
  SELF_SIGNED_CERT_IN_CHAIN: `its certificate has a self-signed issuer; ${trust}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the issuer of its certificate is unknown; ${trust}`,
  UNABLE_TO_GET_ISSUER_CERT: `the issuer of its certificate is unknown; ${trust}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `the issuer of its certificate is unknown; ${trust}`,
  CERT_UNTRUSTED: `its certificate is not trusted; ${trust}`,
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it, and look at the clock',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; look at the clock',
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name; use that name in its URL',
  HOSTNAME_MISMATCH: 'its certificate is for another name; use that name in its URL',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; use http:// in its URL',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS; use http:// in its URL',
  SECURED: 'it speaks TLS only; use https:// in its URL',
};

/** Why a TLS connection failed; undefined for other errors. */
export function tlsReason(code: string, message: string): string | undefined {
  if (Object.hasOwn(reasons, code)) return reasons[code];
  // Older versions of Node.js have one code for all.
  if (code === 'EPROTO' && /wrong version number|packet length too long/i.test(message))
    return reasons.ERR_SSL_WRONG_VERSION_NUMBER;
  return /^(EPROTO$|ERR_SSL_|ERR_TLS_|CERT_)/.test(code) ? `TLS failed (${code})` : undefined;
}
