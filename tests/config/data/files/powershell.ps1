# Camunda 8 SaaS
$env:ZEEBE_ADDRESS                    = '5c34c0a7-0000-4000-8000-000000000000.bru-2.zeebe.camunda.io:443'
$env:ZEEBE_CLIENT_ID                  = 'aB3.client~id'
$env:ZEEBE_CLIENT_SECRET              = 'c4n4ry~S3.cret-0815'
$env:ZEEBE_AUTHORIZATION_SERVER_URL   = 'https://login.cloud.camunda.io/oauth/token'
$env:ZEEBE_REST_ADDRESS               = 'https://bru-2.api.camunda.io/5c34c0a7-0000-4000-8000-000000000000'
