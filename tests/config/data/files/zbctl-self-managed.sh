#!/bin/bash
set -euo pipefail
export DOMAIN_NAME=camunda.example
export ZEEBE_ADDRESS=zeebe.$DOMAIN_NAME:443
export ZEEBE_CLIENT_ID='client' # of the application in Identity
export ZEEBE_CLIENT_SECRET='c4n4ry~S3.cret-0815'
export ZEEBE_AUTHORIZATION_SERVER_URL=https://${DOMAIN_NAME}/auth/realms/camunda-platform/protocol/openid-connect/token
export ZEEBE_TOKEN_AUDIENCE='zeebe-api'
export ZEEBE_TOKEN_SCOPE='camunda-identity'
export ZEEBE_REST_ADDRESS="https://${DOMAIN_NAME}/core"
export ZEEBE_CA_CERTIFICATE_PATH="${ZEEBE_CA:-}"
