-- The shop of this example: shop.db is made of it, and a database of PostgreSQL can be.
create table customers (
    customer_no text primary key,
    company     text not null,
    status      text not null,
    since       date
);
create table orders (
    order_no    integer primary key,
    customer_no text not null references customers,
    ordered_on  date not null,
    amount      numeric(10, 2) not null
);
insert into customers values
    ('crm-1001', 'Bakkerij Zon', 'customer', '2024-02-12'),
    ('crm-1002', 'De Fietsenmaker', 'customer', '2023-06-30'),
    ('crm-1003', 'Hoeve Noord', 'customer', '2026-11-02'),
    ('crm-1004', 'Studio Vlieg', 'prospect', null),
    ('crm-1005', 'Garage Delta', 'ex-customer', '2021-01-04'),
    ('crm-1006', 'Atelier Blauw', 'customer', '2025-09-18');
insert into orders values
    (1, 'crm-1001', '2026-10-01', 640.00),
    (2, 'crm-1001', '2026-11-03', 360.50),
    (3, 'crm-1002', '2024-08-20', 89.95),
    (4, 'crm-1003', '2026-11-02', 1250.00),
    (5, 'crm-1005', '2022-03-15', 2400.00),
    (6, 'crm-1006', '2026-07-11', 999.99);
