const user = { email: "alice@example.com", name: "Alice Chen" };

await fetch("https://crm.example.com/v1/identify", {
  method: "POST",
  headers: {
    "Authorization": `Bearer ${process.env.TINYCRM_API_KEY}`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({ email: user.email, name: user.name, status: "free" }),
});
