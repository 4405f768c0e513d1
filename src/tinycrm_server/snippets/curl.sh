curl https://crm.example.com/v1/identify \
  -H "Authorization: Bearer $TINYCRM_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"email": "alice@example.com", "name": "Alice Chen", "status": "free"}'
