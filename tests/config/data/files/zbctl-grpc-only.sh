export ZEEBE_ADDRESS=localhost:26500
export ZEEBE_CLIENT_ID='client'
export ZEEBE_CLIENT_SECRET='c4n4ry~S3.cret-0815'
export ZEEBE_AUTHORIZATION_SERVER_URL=http://localhost:18080/auth/realms/camunda-platform/protocol/openid-connect/token
